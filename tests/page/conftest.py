"""Fixtures: node, its modules and a browser."""

from helpers.browser import chromium, dist, modules, node

__all__ = ["chromium", "dist", "modules", "node"]
