"""Measurement: hardware, calibration, latency, size."""
