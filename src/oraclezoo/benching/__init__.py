"""Benchmark recipes: train each with several seeds, measure the models and save the results."""
