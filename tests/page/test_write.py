"""Writing the page to a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.bands import write_model
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.page import runtime as runtimes
from oraclezoo.page.runtime import FILES, WASM, Runtime
from oraclezoo.page.write import PageModel, page_name, write_page

RUNTIME = Runtime({name: name.encode() for name in FILES})


@pytest.fixture
def model(tmp_path: Path) -> PageModel:
    return PageModel("bands", write_model(tmp_path / "bands"), "reads bands")


def test_a_page_is_complete(model: PageModel, tmp_path: Path) -> None:
    """Page, model, runtime with its license, and settings that name them."""
    out = tmp_path / "new" / "page"
    write_page(out, [model], RUNTIME)
    assert (out / "models/bands/model.onnx").read_bytes()
    assert (out / "models/bands/model.json").read_bytes()
    assert {path.name for path in (out / "runtime").iterdir()} == {*FILES, "LICENSE.txt"}
    assert (out / "imaging/prepare.js").is_file()
    settings = json.loads((out / "page.json").read_text(encoding="utf-8"))
    assert settings["home"] == "static"
    assert settings["models"] == [{"name": "bands", "summary": "reads bands"}]
    assert settings["runtime"]["bytes"] == len(RUNTIME.files[WASM])
    assert [path.name for path in out.parent.iterdir()] == ["page"]


def test_only_a_page_is_replaced_and_only_on_request(model: PageModel, tmp_path: Path) -> None:
    """A folder with other content never is."""
    out = tmp_path / "page"
    out.mkdir()
    write_page(out, [model], RUNTIME)  # an empty folder is free
    with pytest.raises(UsageError, match="--overwrite"):
        write_page(out, [model], RUNTIME)
    (out / "old.txt").write_text("old")
    write_page(out, [model], RUNTIME, overwrite=True)
    assert not (out / "old.txt").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="not a page"):
        write_page(other, [model], RUNTIME, overwrite=True)


def test_a_model_without_onnx_leaves_the_folder_alone(model: PageModel, tmp_path: Path) -> None:
    """The page that is there stays complete."""
    out = tmp_path / "page"
    write_page(out, [model], RUNTIME)
    (model.folder / "model.onnx").unlink()
    with pytest.raises(ResultError, match=r"model\.onnx is missing"):
        write_page(out, [model], RUNTIME, overwrite=True)
    assert (out / "models/bands/model.onnx").is_file()


def test_names_must_differ(model: PageModel, tmp_path: Path) -> None:
    """They are folders of the page."""
    with pytest.raises(UsageError, match="two models are named bands"):
        write_page(tmp_path / "page", [model, model], RUNTIME)


@pytest.mark.parametrize(
    ("given", "name"),
    [("oraclenet_s", "oraclenet_s"), ("runs/my net/", "my-net"), ("../x:y", "x-y"), ("/", "model")],
)
def test_names_are_safe_in_addresses(given: str, name: str) -> None:
    """Whatever a folder is called."""
    assert page_name(given) == name


def test_a_missing_runtime_is_explained(tmp_path: Path) -> None:
    """The message has the commands that get it."""
    with pytest.raises(UsageError, match=r"(?s)was not found.*nox -s page.*npm install"):
        Runtime.open(tmp_path)


def test_another_version_of_the_runtime_is_refused(tmp_path: Path) -> None:
    """The page was tested with one version, whose digests are known."""
    for name in FILES:
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(UsageError, match=f"does not match onnxruntime-web {runtimes.VERSION}"):
        Runtime.open(tmp_path)


def test_the_lock_file_pins_the_version_of_the_digests() -> None:
    """With the integrity of each package, so that npm verifies what it gets."""
    npm = Path(__file__).resolve().parents[2] / "docs" / "npm"
    lock = json.loads((npm / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert lock["node_modules/onnxruntime-web"]["version"] == runtimes.VERSION
    assert all(each.get("integrity") for name, each in lock.items() if name)
    assert not any("resolved" in each for each in lock.values())


def test_the_installed_runtime_has_these_digests(dist: Path) -> None:
    """What ``nox -s page`` installs is what ``oraclezoo page`` accepts."""
    assert Runtime.open(dist).files.keys() == FILES.keys()
