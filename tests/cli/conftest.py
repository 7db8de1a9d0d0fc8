"""Results made of simulated predictions, for the commands that read results."""

from helpers.results import make_entry

__all__ = ["make_entry"]
