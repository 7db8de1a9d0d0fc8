"""A served model: the bands model, which needs no training."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from helpers.bands import drawn, write_model
from helpers.server import Local, Process, serving


@pytest.fixture(scope="session")
def bands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the model."""
    return write_model(tmp_path_factory.mktemp("served") / "bands")


@pytest.fixture(scope="session")
def local(bands: Path) -> Iterator[Local]:
    """Return an application that serves the model, with default limits."""
    with Local(bands) as server:
        yield server


@pytest.fixture(scope="session")
def process(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a server process; tests that stop one start their own."""
    with serving(tmp_path_factory.mktemp("log") / "log", bands, "--timeout", 3) as server:
        yield server


def png(label: int = 0, height: int = 60, width: int = 60) -> bytes:
    """Return a file with a drawing of a class."""
    buffer = BytesIO()
    Image.fromarray(drawn(label, height, width)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """Return a file for each class."""
    return [png(label) for label in range(4)]
