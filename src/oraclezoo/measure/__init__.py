"""Measurement: hardware, calibration, latency, size, accuracy."""
