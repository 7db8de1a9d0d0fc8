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

from helpers.bands import CLASSES, SIZE, band_graph, drawn, write_model
from oraclezoo.cli import cli
from oraclezoo.imaging.prepare import prepare


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


def page_with(label: int, x: int, y: int) -> Image.Image:
    """Return a light page of 200 x 300 pixels with a dark image of ``label`` on it."""
    page = np.full((300, 200), 240, np.uint8)
    page[y : y + 64, x : x + 64] = 240 - drawn(label, 64, 64)
    return Image.fromarray(page)


def test_json_has_the_box_of_the_character(tmp_path: Path, model: str) -> None:
    """On a page it is where the image was put; a plain image is used as a whole."""
    page_with(2, 90, 150).save(tmp_path / "page.png")
    Image.fromarray(drawn(2, 64, 64)).save(tmp_path / "plain.png")
    page, plain = json.loads(run(tmp_path, "--model", model, "--json").stdout)["data"]["images"]
    assert page["inverted"]
    assert page["label"] == plain["label"] == 2
    assert plain["box"] == {"x": 0, "y": 0, "width": 64, "height": 64}
    for edge, value in {"x": 90, "y": 150, "width": 64, "height": 64}.items():
        assert abs(page["box"][edge] - value) <= 4


def test_a_box_replaces_the_search(tmp_path: Path, model: str) -> None:
    """``--box`` reads that rectangle, and the JSON document repeats it."""
    page = page_with(0, 10, 20)
    page.paste(page_with(3, 0, 0).crop((0, 0, 64, 64)), (120, 200))
    page.save(tmp_path / "two.png")
    for label, corner in ((0, "10,20"), (3, "120,200")):
        done = run(tmp_path / "two.png", "--model", model, "--json", "--box", f"{corner},64,64")
        (row,) = json.loads(done.stdout)["data"]["images"]
        x, y = map(int, corner.split(","))
        assert (row["label"], row["box"]) == (label, {"x": x, "y": y, "width": 64, "height": 64})
    outside = run(tmp_path / "two.png", "--model", model, "--box", "150,0,64,64")
    assert outside.exit_code == 1
    assert "is not inside the image, which has 200 x 300 pixels" in outside.stderr


@pytest.mark.parametrize("box", ["1,2,3", "1,2,3,x", "-1,2,3,4", "1,2,0,4", "", "1.5,2,3,4"])
def test_a_box_that_is_none_is_an_error(folder: Path, model: str, box: str) -> None:
    """Before anything is read."""
    done = run(folder, "--model", model, "--box", box)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "is not four whole numbers X,Y,W,H" in done.stderr or "has no area" in done.stderr


def test_show_writes_what_the_model_sees(folder: Path, model: str, tmp_path: Path) -> None:
    """The image with a red box, and beside it the model's input, enlarged."""
    page_with(2, 90, 150).save(folder / "page.png")
    (folder / "bad.png").write_bytes(b"no image")
    done = run(folder, "--model", model, "--show", tmp_path / "seen")
    assert done.exit_code == 1
    names = sorted(path.name for path in (tmp_path / "seen").iterdir())
    assert names == ["0001-0.png", "0002-1.png", "0003-2.png", "0004-3.png", "0006-page.png"]
    with Image.open(tmp_path / "seen" / "0003-2.png") as view:
        right = np.asarray(view.convert("RGB"))[:, -280:]
    with Image.open(folder / "2.png") as image:
        seen = prepare(image, SIZE).gray
    centers = (np.arange(SIZE) * 280 + 140) // SIZE
    assert np.array_equal(right[centers][:, centers, 0], seen)
    with Image.open(tmp_path / "seen" / "0006-page.png") as view:
        left = np.asarray(view.convert("RGB")).astype(int)[:, :280]
    red = np.argwhere(left[..., 0] - left[..., 1] > 100)
    scale = 280 / 300
    assert np.abs(red.min(0) - [150 * scale, 90 * scale]).max() < 6
    assert np.abs(red.max(0) - [214 * scale, 154 * scale]).max() < 6


def test_show_needs_a_folder_that_can_be_written(folder: Path, model: str) -> None:
    """One line says which file cannot be written."""
    (folder / "file").write_bytes(b"")
    done = run(folder / "0.png", "--model", model, "--show", folder / "file" / "below")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_is_read_by_the_bundled_model() -> None:
    """The README's first command: the drawing of 牛, found on its paper."""
    done = run("--demo", "--json")
    assert done.exit_code == 0
    (row,) = json.loads(done.stdout)["data"]["images"]
    assert (row["glyph"], row["inverted"]) == ("牛", True)
    assert row["probability"] > 0.5
    assert row["box"]["width"] < 300


def test_the_demo_precedes_other_images(folder: Path, model: str) -> None:
    """It is read beside them."""
    lines = run(folder / "0.png", "--demo", "--model", model).stdout.splitlines()
    assert [Path(line.split(": ")[0]).name for line in lines] == ["sample.jpg", "0.png"]


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

    dataset = oz.registry().create("dataset", "oracle-mnist-3k", data_dir=oracle_dir)
    images = dataset.split("validation").images
    rgba = [np.asarray(Image.fromarray(image).convert("RGBA")) for image in images]
    assert np.array_equal(np.stack([prepare(image, 28).gray for image in rgba]), images)
    turned = [prepare(255 - image, 28).gray for image in images]
    same = [np.array_equal(a, b) for a, b in zip(turned, images, strict=True)]
    assert np.mean(same) >= 0.99


def test_several_characters_have_a_line_each(tmp_path: Path, model: str) -> None:
    """In reading order, with number and box; a picture with one character has one line."""
    page = np.full((300, 300), 240, np.uint8)
    for x, y in ((40, 40), (200, 44), (40, 200)):
        page[y : y + 60, x + 20 : x + 30] = page[y + 20 : y + 30, x : x + 60] = 10
    Image.fromarray(page).save(tmp_path / "page.png")
    Image.fromarray(drawn(1)).save(tmp_path / "one.png")
    options = ("--several", "--model", model)
    files = (tmp_path / "page.png", tmp_path / "one.png")
    lines = run(*files, *options).stdout.splitlines()
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in lines] == [
        "page.png #1",
        "page.png #2",
        "page.png #3",
        "one.png #1",
    ]
    done = run(*files, *options, "--order", "rows", "--json", "--show", tmp_path / "show")
    rows = json.loads(done.stdout)["data"]["images"]
    assert [(row["number"], row["box"]["x"], row["box"]["y"]) for row in rows[:3]] == [
        (1, 40, 40),
        (2, 200, 44),
        (3, 40, 200),
    ]
    assert rows[3]["label"] == 1
    assert len(list((tmp_path / "show").iterdir())) == 4
    assert run(*files, *options, "--box", "0,0,9,9").exit_code == 2
    ordered = run(*files, "--order", "rows")
    assert ordered.exit_code == 2
    assert "--order requires --several" in ordered.stderr


def test_a_picture_that_is_no_character_is_marked(tmp_path: Path) -> None:
    """The line says so; the JSON has the score and, for the model, the threshold."""
    torch = pytest.importorskip("torch")
    from oraclezoo.onnx_export.detector import Detector
    from oraclezoo.onnx_export.unknown import attach

    torch.manual_seed(0)
    content = attach(
        band_graph().SerializeToString(), Detector(CLASSES), mean=0.2, std=0.3, card={}
    )
    Image.fromarray(drawn(1)).save(tmp_path / "one.png")
    for threshold, flag in ((0.0, True), (1.0, False)):
        entry = {"threshold": threshold, "file": "unknown.safetensors", "sha256": "0" * 64}
        folder = write_model(tmp_path / f"model-{flag}", content, unknown=entry)
        line = run(tmp_path / "one.png", "--model", folder).stdout
        assert ("(not a character this model knows)" in line) == flag
        data = json.loads(run(tmp_path / "one.png", "--model", folder, "--json").stdout)["data"]
        assert data["model"]["unknown_threshold"] == threshold
        assert data["images"][0]["unknown"] is flag
        assert 0 < data["images"][0]["unknown_score"] < 1
    plain = write_model(tmp_path / "plain")
    data = json.loads(run(tmp_path / "one.png", "--model", plain, "--json").stdout)["data"]
    assert data["images"][0]["unknown"] is data["images"][0]["unknown_score"] is None
    wrong = write_model(tmp_path / "wrong", unknown=entry)
    assert "the graph has none" in run(tmp_path / "one.png", "--model", wrong).stderr
