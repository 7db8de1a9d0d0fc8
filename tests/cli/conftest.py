"""Fixtures: results with simulated predictions."""

from helpers.results import make_entry

__all__ = ["make_entry"]
