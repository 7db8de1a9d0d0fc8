"""``oraclezoo models``."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from helpers.bands import write_model
from oraclezoo.cli import cli


@pytest.fixture
def offered(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a plugin with one model, from a local archive."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    archive = tmp_path / "bands.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(write_model(tmp_path / "made"), ".")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    site.add(
        "zoo-a",
        "from oraclezoo.specs import fetched_model\n"
        "@hookimpl\ndef oraclezoo_models():\n"
        f"    yield fetched_model('bands', url={archive.as_uri()!r}, sha256={digest!r}, "
        f"size_bytes={archive.stat().st_size}, summary='reads bands', source='this test')\n",
    )
    return archive


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(cli, ["models", *map(str, arguments)])


def listed() -> dict[str, Any]:
    rows = json.loads(run("list", "--json").stdout)["data"]
    return {row["name"]: row for row in rows}


def test_a_model_is_listed_fetched_and_shown(offered: Path) -> None:
    """Listing does not fetch the model; after fetching, its card is shown."""
    row = listed()["bands"]
    assert (row["where"], row["distribution"]) == ("to fetch", "zoo-a")
    assert row["size_bytes"] == offered.stat().st_size
    text = run("list").stdout
    assert "to fetch" in text
    assert "reads bands" in text
    shown = json.loads(run("show", "bands", "--json").stdout)["data"]
    assert (shown["card"], shown["source"]) == (None, "this test")

    done = run("fetch", "bands")
    assert done.exit_code == 0
    folder = Path(done.stdout.strip())
    assert (folder / "model.onnx").is_file()
    assert listed()["bands"]["where"] == "fetched"
    shown = json.loads(run("show", "zoo-a:bands", "--json").stdout)["data"]
    assert shown["card"]["classes"][0] == "first"
    assert Path(shown["folder"]) == folder
    again = json.loads(run("fetch", "bands", "--json").stdout)["data"]
    assert again == {"zoo-a:bands": str(folder)}


def test_a_folder_is_shown(tmp_path: Path) -> None:
    """The card alone is read."""
    folder = write_model(tmp_path / "mine", calibration={"temperature": 1.25})
    lines = run("show", folder).stdout.splitlines()
    assert "classes: 一 first, 二 second, 三 third, 四 fourth" in lines
    assert "calibration: temperature 1.250" in lines
    assert "onnx: fp32, uint8 in, opset 20" in lines
    broken = run("show", write_model(tmp_path / "broken", input=None))
    assert (broken.exit_code, "not a valid model card" in broken.stderr) == (1, True)


def test_an_unknown_model_is_told_before_anything_is_fetched(offered: Path) -> None:
    """The error suggests a similar name."""
    done = run("fetch", "bands", "bans")
    assert (done.exit_code, "did you mean 'bands'" in done.stderr) == (2, True)
    assert listed()["bands"]["where"] == "to fetch"
