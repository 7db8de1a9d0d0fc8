"""A Ray cluster of two nodes, for the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # Ray reads it once per process
from nodes import Nodes


def pytest_addoption(parser: pytest.Parser) -> None:
    with suppress(ValueError):  # plugins/conftest.py has added it
        parser.addoption("--full", action="store_true", help="run tests marked `full` as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests marked ``full`` unless ``--full`` is given."""
    if config.getoption("--full"):
        return
    deselected = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in deselected]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Start a cluster of two nodes with one CPU each."""
    started = Nodes()
    yield started
    started.stop()
