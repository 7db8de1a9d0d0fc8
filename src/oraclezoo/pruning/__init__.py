"""Structured pruning: removal of whole channels from a trained model."""
