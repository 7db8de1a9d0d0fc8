"""Fixtures of the kit, for the tests of all packages together."""

from oraclezoo.testing.fixtures import oraclezoo_data

__all__ = ["oraclezoo_data"]
