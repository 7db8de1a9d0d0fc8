"""``oraclezoo predict``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from helpers.bands import drawn, write_model
from oraclezoo.cli import cli


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(write_model(tmp_path / "model"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with four images of different formats."""
    place = tmp_path / "images"
    place.mkdir()
    Image.fromarray(drawn(0)).save(place / "0.png")
    Image.fromarray(255 - drawn(1, 90, 60)).save(place / "1.jpg", quality=30)
    Image.fromarray(drawn(2, 64, 64)).convert("RGBA").save(place / "2.png")
    Image.fromarray(drawn(3, 40, 40)).convert("P").save(place / "3.tif")
    return place


def run(*arguments: Any, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["predict", *map(str, arguments)], input=given)


def test_each_image_has_a_line(folder: Path, model: str) -> None:
    """Each line has the file, and the best classes with glyph, name and probability."""
    done = run(folder, "--model", model, "--top", 2)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split(": ")[1].split()[:2] for line in lines] == [
        ["一", "first"],
        ["二", "second"],
        ["三", "third"],
        ["四", "fourth"],
    ]
    assert all(line.count("%") == 2 for line in lines)
    assert lines[0].startswith(f"{folder}/0.png: ")


def test_json_is_one_document(folder: Path, model: str) -> None:
    """It has all of the top classes, and whether the image was inverted."""
    done = run(folder, "--model", model, "--json", "--top", 9)
    document = json.loads(done.stdout)
    assert document["schema"] == "oraclezoo/predict/1"
    data = document["data"]
    assert [(r["label"], r["name"], r["glyph"], r["inverted"]) for r in data["images"]] == [
        (0, "first", "一", False),
        (1, "second", "二", True),
        (2, "third", "三", False),
        (3, "fourth", "四", False),
    ]
    for row in data["images"]:
        assert sum(actual["probability"] for actual in row["top"]) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == max(actual["probability"] for actual in row["top"])
    assert data["model"]["folder"] == model
    assert data["unreadable"] == []


def test_files_that_cannot_be_read_are_named_and_the_others_read(folder: Path, model: str) -> None:
    """The exit status is 1, for text and for JSON."""
    (folder / "bad.png").write_bytes(b"no image")
    done = run(folder / "nowhere.png", folder, "--model", model)
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 4
    first, second = done.stderr.splitlines()
    assert (
        first
        == f"oraclezoo: {folder}/nowhere.png: the file cannot be read (No such file or directory)"
    )
    assert second.startswith(f"oraclezoo: {folder}/bad.png: the file is not a BMP")
    document = run(folder, "--model", model, "--json")
    assert document.exit_code == 1
    (row,) = json.loads(document.stdout)["data"]["unreadable"]
    assert row["file"].endswith("bad.png")


def test_names_from_elsewhere_cannot_write_to_the_terminal(folder: Path, model: str) -> None:
    """Control characters in file names are escaped."""
    (folder / "0.png").rename(folder / "\x1b[31m.png")
    done = run(folder, "--model", model)
    assert "\x1b" not in done.stdout
    assert "\\x1b[31m.png" in done.stdout


def test_standard_input_is_an_image_or_a_list(folder: Path, model: str) -> None:
    """``-`` and ``--files-from -`` exclude each other."""
    image = run("-", "--model", model, given=(folder / "2.png").read_bytes())
    assert image.stdout.startswith("stdin: 三 third")
    listed = "\n".join(str(folder / name) for name in ("3.tif", "1.jpg")).encode()
    done = run("--files-from", "-", "--model", model, given=listed)
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["四", "二"]
    both = run("-", "--files-from", "-", "--model", model, given=b"")
    assert (both.exit_code, "cannot be both" in both.stderr) == (2, True)
    path = folder / "list.txt"
    path.write_bytes(listed)
    assert run("--files-from", path, "--model", model).stdout == done.stdout


def test_a_stated_polarity_is_believed(folder: Path, model: str) -> None:
    """--polarity replaces the detection."""
    arguments = (folder / "0.png", "--model", model, "--json", "--polarity")
    (row,) = json.loads(run(*arguments, "dark-on-light").stdout)["data"]["images"]
    assert row["inverted"]
    (row,) = json.loads(run(*arguments, "light-on-dark").stdout)["data"]["images"]
    assert (row["label"], row["inverted"]) == (0, False)


def test_no_image_and_no_model_are_told(folder: Path, tmp_path: Path) -> None:
    """Both errors precede reading."""
    none = run()
    assert (none.exit_code, "pass an image" in none.stderr) == (2, True)
    nowhere = run(folder, "--model", tmp_path / "nowhere")
    assert (nowhere.exit_code, "not a model folder" in nowhere.stderr) == (1, True)


WATCH = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from oraclezoo.cli import main
main(sys.argv[1:])
"""


def test_a_prediction_never_imports_torch(folder: Path, model: str) -> None:
    """Nor does it import other slow libraries."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, "predict", str(folder / "0.png"), "--model", model],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "一 first" in done.stdout
    modules = set(json.loads(done.stderr.splitlines()[-1]))
    heavy = {"torch", "timm", "onnx", "scipy", "requests", "rich.console", "urllib.request"}
    assert not heavy & modules
    assert {"numpy", "onnxruntime", "PIL"} <= modules


@pytest.mark.realdata
def test_real_images_read_alike_from_files_of_any_kind(oracle_dir: Path, model: str) -> None:
    """PNG and RGBA files give the original pixels; inverted images almost always do."""
    import oraclezoo as oz
    from oraclezoo.imaging.prepare import prepare

    dataset = oz.registry().create("dataset", "oracle-mnist-3k", data_dir=oracle_dir)
    images = dataset.split("validation").images
    rgba = [np.asarray(Image.fromarray(image).convert("RGBA")) for image in images]
    assert np.array_equal(np.stack([prepare(image, 28).gray for image in rgba]), images)
    turned = [prepare(255 - image, 28).gray for image in images]
    same = [np.array_equal(a, b) for a, b in zip(turned, images, strict=True)]
    assert np.mean(same) >= 0.99
