"""Compression of networks: structured pruning, int8 quantization, and low-precision PyTorch."""
