"""The benchmark: recipes trained at several seeds, measured, and written as results."""
