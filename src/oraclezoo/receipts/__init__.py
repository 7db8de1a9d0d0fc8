"""Receipts: accuracy, size and latency of a model before and after a step."""
