"""``oraclezoo page``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from helpers.bands import write_model
from oraclezoo.cli import cli
from oraclezoo.page import runtime


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a small runtime, which the command takes for the right one."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in runtime.FILES:
        (folder / name).write_bytes(b"runtime")
    digest = hashlib.sha256(b"runtime").hexdigest()
    monkeypatch.setattr(runtime, "FILES", dict.fromkeys(runtime.FILES, digest))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["page", *map(str, arguments)])


def test_the_bundled_models_are_the_default(tmp_path: Path, files: Path) -> None:
    """The default model of ``predict`` comes first."""
    done = run(tmp_path / "page", "--runtime", files)
    assert done.exit_code == 0, done.output
    settings = json.loads((tmp_path / "page/page.json").read_text(encoding="utf-8"))
    names = [model["name"] for model in settings["models"]]
    assert names == ["oraclenet_s", "oraclenet_n", "oraclenet_b"]
    assert all(model["summary"] for model in settings["models"])
    assert "http.server" in done.stderr


def test_own_models_are_named_after_their_folders(tmp_path: Path, files: Path) -> None:
    """In the order given."""
    own = write_model(tmp_path / "my net")
    done = run(tmp_path / "page", "--runtime", files, "--model", own, "--model", "oraclenet_n")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "page/models/my-net/model.onnx").is_file()
    assert (tmp_path / "page/models/oraclenet_n/model.onnx").is_file()


def test_nothing_is_replaced_unasked(tmp_path: Path, files: Path) -> None:
    """Status 2, and what to pass."""
    arguments = (tmp_path / "page", "--runtime", files, "--model", "oraclenet_n")
    assert run(*arguments).exit_code == 0
    again = run(*arguments)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert run(*arguments, "--overwrite").exit_code == 0


def test_without_the_runtime_it_says_what_to_run(tmp_path: Path) -> None:
    """Nothing is written."""
    done = run(tmp_path / "page", "--runtime", tmp_path)
    assert done.exit_code == 2
    assert "nox -s page" in done.stderr
    assert "npm install" in done.stderr
    assert not (tmp_path / "page").exists()
