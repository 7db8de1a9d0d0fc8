"""Structured pruning: remove channels from a trained model."""
