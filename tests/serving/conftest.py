"""A deployed model for the test images of :mod:`bands`."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.bands import write_model


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model with only an ONNX file."""
    return write_model(tmp_path_factory.mktemp("models") / "bands")
