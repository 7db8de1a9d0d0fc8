"""Structured pruning: coupled channels, importance, selection, and pruning plans."""
