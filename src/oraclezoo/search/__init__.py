"""Search for the smallest or fastest compressed model within limits on the accuracy drop."""
