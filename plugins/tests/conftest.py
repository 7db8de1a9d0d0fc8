"""Fixtures of the conformance kit, for the tests of all packages."""

from oraclezoo.testing.fixtures import oraclezoo_data

__all__ = ["oraclezoo_data"]
