"""A deployed model that reads the bands of :mod:`bands`."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.bands import write_model


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with an ONNX file and nothing else."""
    return write_model(tmp_path_factory.mktemp("models") / "bands")
