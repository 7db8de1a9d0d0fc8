"""Fixtures: results with simulated predictions, and an empty working directory."""

from pathlib import Path

import pytest

from helpers.results import make_entry

__all__ = ["make_entry"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
