"""A Ray cluster of two nodes, for the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # Ray reads it once per process
from nodes import Nodes


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Start a cluster of two nodes with one CPU each."""
    started = Nodes()
    yield started
    started.stop()
