"""Synthetic scans for the tests of conversion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Write = Callable[..., Path]


@pytest.fixture
def write() -> Write:
    """Return a function that writes a scan of bars and noise, distinct for each ``seed``."""

    def one(path: Path, seed: int) -> Path:
        rng = np.random.default_rng(seed)
        height, width = rng.integers(20, 50, 2)
        gray = rng.integers(180, 230, (height, width), dtype=np.uint8)
        gray[5:9, 3 : int(rng.integers(10, width))] = rng.integers(10, 40)
        gray[3 : int(rng.integers(10, height)), 6:9] = 30
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - gray if seed % 2 else gray).save(path)
        return path

    return one


@pytest.fixture
def pool(tmp_path: Path, write: Write) -> Path:
    """A folder of three classes, 40 scans each, in every listed format."""
    suffixes = (".bmp", ".png", ".jpg", ".tif", ".webp", ".jpeg", ".tiff", ".PNG")
    for label, name in enumerate(("ma", "ri", "yu")):
        for number in range(40):
            suffix = suffixes[number % len(suffixes)]
            write(tmp_path / "scans" / name / f"{number}{suffix}", 100 * label + number)
    return tmp_path / "scans"
