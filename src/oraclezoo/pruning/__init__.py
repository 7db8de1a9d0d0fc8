"""Pruning: channels taken out of a trained model."""
