"""Fixtures: results with simulated predictions."""

from helpers.results import draw, make_entry

__all__ = ["draw", "make_entry"]
