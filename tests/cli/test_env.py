"""``oraclezoo env``."""

from __future__ import annotations

import json
import platform
import pwd
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import oraclezoo
from oraclezoo.cli import cli
from oraclezoo.data import locate
from oraclezoo.errors import DataError


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


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with neither HOME nor an entry in the user database."""
    for name in ("HOME", "XDG_CACHE_HOME", "ORACLEZOO_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)


@pytest.mark.usefixtures("homeless")
def test_commands_that_need_no_cache_work_without_a_home(tmp_path: Path) -> None:
    """``env`` shows no cache folder; listings and bundled models work."""
    picture = tmp_path / "picture.png"
    Image.fromarray(np.eye(30, dtype=np.uint8) * 255).save(picture)
    document = json.loads(CliRunner().invoke(cli, ["env", "--json"]).stdout)
    assert document["data"]["cache_folder"] is None
    for command in (["env"], ["list"], ["models", "list"], ["data", "list"], ["predict", picture]):
        done = CliRunner().invoke(cli, list(map(str, command)))
        assert done.exit_code == 0, done.output
    assert "cache_folder: unknown" in CliRunner().invoke(cli, ["env"]).stdout


@pytest.mark.usefixtures("homeless")
def test_a_missing_home_is_reported_where_the_cache_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variables to set; a folder of data is enough without them."""
    with pytest.raises(DataError, match=r"no home folder.*HOME or XDG_CACHE_HOME"):
        locate.folders(None)
    monkeypatch.setenv("ORACLEZOO_DATA", str(tmp_path))
    assert locate.folders(None) == (tmp_path,)
