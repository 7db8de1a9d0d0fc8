"""Receipts: a model's accuracy, size and latency before and after a step such as pruning."""
