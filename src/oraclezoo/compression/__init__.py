"""Compression of networks: structured pruning, int8 graphs and low precision in PyTorch."""
