"""Structured pruning: coupled channels, channel importance, channel selection, pruning plans."""
