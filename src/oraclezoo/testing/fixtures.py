"""Pytest fixtures for plugins: import them in ``conftest.py``, or load this module with ``-p``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oraclezoo.data.idx import write_idx
from oraclezoo.plugins.registry import Registry, build_registry

CLASSES, SIDE = 4, 28


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``slow``."""
    config.addinivalue_line("markers", "slow: takes more than ten seconds")


@pytest.fixture(scope="session")
def oraclezoo_registry() -> Registry:
    """Return the registry of this installation. Raises an error if a plugin is quarantined."""
    return build_registry(strict=True)


@pytest.fixture(scope="session")
def oraclezoo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for ``--track idx --data-dir`` with synthetic images that train in seconds.

    The folder contains 160 training and 40 test images (28 x 28) of four classes; each image shows
    a bright bar on noise.
    """
    folder = tmp_path_factory.mktemp("oraclezoo-data")
    generator = np.random.default_rng(0)
    for name, count in (("train", 160), ("t10k", 40)):
        labels = (np.arange(count) % CLASSES).astype(np.uint8)
        images = generator.integers(0, 90, (count, SIDE, SIDE), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[7 * label : 7 * label + 5] = 220
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder
