"""Fixtures of the engine's tests."""

from __future__ import annotations

import pytest

from oraclezoo.plugins.registry import Registry, build_registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Return the registry of built-ins."""
    return build_registry()
