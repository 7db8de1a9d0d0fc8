"""Fixtures: where node, its modules and a browser are; tests are skipped visibly without them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from oraclezoo.page.runtime import INSTALLED

MODULES = Path(os.environ.get("ORACLEZOO_TEST_NODE") or INSTALLED.parents[2])
"""Folder with ``node_modules``: that of ``nox -s page``."""


@pytest.fixture(scope="session")
def node() -> str:
    """Return the path of node."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not installed")
    return path


@pytest.fixture(scope="session")
def modules() -> Path:
    """Return the folder with ``node_modules``."""
    if not (MODULES / "node_modules").is_dir():
        pytest.skip("run 'nox -s page', or set ORACLEZOO_TEST_NODE to a folder with node_modules")
    return MODULES


@pytest.fixture(scope="session")
def dist(modules: Path) -> Path:
    """Return the folder of ONNX Runtime for the web."""
    return modules / INSTALLED.relative_to(INSTALLED.parents[2])


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("chromium is not installed")
    return path
