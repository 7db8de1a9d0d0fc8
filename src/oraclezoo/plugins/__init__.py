"""Plugins: found, checked, and gathered in the registry."""
