"""Fixtures: results with simulated predictions; node, its modules and a browser."""

from helpers.browser import chromium, modules, node
from helpers.results import draw, make_entry

__all__ = ["chromium", "draw", "make_entry", "modules", "node"]
