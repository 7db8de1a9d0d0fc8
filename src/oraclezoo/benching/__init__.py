"""The benchmark: recipes are trained with several seeds, measured and saved as results."""
