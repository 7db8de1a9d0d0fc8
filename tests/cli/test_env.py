"""``oraclezoo env``."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version

import pytest
from click.testing import CliRunner

import oraclezoo
from oraclezoo.cli import cli


def test_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions, hardware, cache and oraclezoo's environment variables are included."""
    monkeypatch.setenv("ORACLEZOO_EXAMPLE", "7")
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    result = CliRunner().invoke(cli, ["env", "--json"])
    assert result.exit_code == 0
    actual = json.loads(result.stdout)
    assert actual["schema"] == "oraclezoo/env/1"
    data = actual["data"]
    assert data["oraclezoo"] == oraclezoo.__version__
    assert platform.python_version() in data["python"]
    assert data["packages"]["click"] == version("click")
    assert {"torch", "timm", "onnx", "onnxruntime"} <= data["packages"].keys()
    assert data["environment"]["ORACLEZOO_EXAMPLE"] == "7"
    assert "hidden" not in result.stdout
    assert data["cores"] >= 1
    assert data["memory_bytes"] is None or data["memory_bytes"] > 2**20


def test_the_environment_in_words() -> None:
    """The same facts, one per line."""
    result = CliRunner().invoke(cli, ["env"])
    assert result.exit_code == 0
    assert f"oraclezoo: {oraclezoo.__version__}\n" in result.stdout
    assert f"  click: {version('click')}\n" in result.stdout
