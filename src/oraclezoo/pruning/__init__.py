"""Structured pruning: removal of channels from a trained model."""
