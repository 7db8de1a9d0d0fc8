"""Results made of simulated predictions, for every test of rankings."""

from helpers.results import draw, make_entry

__all__ = ["draw", "make_entry"]
