"""Measurement of latency, model size, memory, hardware and statistics."""
