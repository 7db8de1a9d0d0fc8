"""Exported and quantized models."""
