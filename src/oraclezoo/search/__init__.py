"""Search for the smallest or fastest compressed model within bounds on accuracy."""
