"""Loading results from folders and files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oraclezoo.errors import ResultError
from oraclezoo.ranking import load
from oraclezoo.ranking.load import Entry, load_results, published_folder
from oraclezoo.result import Failure

MakeEntry = Callable[..., Entry]


@pytest.fixture
def folder(make_entry: MakeEntry, tmp_path: Path) -> Path:
    """Return a folder with two results and one of failures only."""
    for name in ("a", "b"):
        make_entry(name, np.ones((2, 8), dtype=bool))
    make_entry("c", None, failures=(Failure(0, "killed", ""),))
    return tmp_path / "results"


def names(entries: list[Entry]) -> list[str]:
    """Return the sorted names of the recipes."""
    return sorted(entry.result.recipe.name for entry in entries)


def test_a_folder_holds_what_was_saved_in_it(folder: Path) -> None:
    """Every result is loaded with its predictions; a failed one has none."""
    entries = load_results([folder])
    assert names(entries) == ["a", "b", "c"]
    kept = {e.result.recipe.name: e.predictions is not None for e in entries}
    assert kept == {"a": True, "b": True, "c": False}


def test_files_can_be_named(folder: Path) -> None:
    """The same result, by path or as a copy, is loaded once."""
    path = next(folder.glob("*-a-*.json"))
    assert names(load_results([path])) == ["a"]
    shutil.copytree(folder, folder.parent / "copy")
    assert names(load_results([str(folder), path, folder.parent / "copy"])) == ["a", "b", "c"]


def test_other_documents_are_passed_over(folder: Path) -> None:
    """JSON of another schema in a folder is skipped, unless named explicitly."""
    other = folder / "ledger.json"
    other.write_text('{"schema": "oraclezoo/other/1"}')
    (folder / ".hidden.json").write_text("{")
    (folder / "notes.txt").write_text("x")
    assert names(load_results([folder])) == ["a", "b", "c"]
    with pytest.raises(ResultError, match=r"ledger\.json"):
        load_results([other])


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[]", '{"schema": 3}', '{"schema": "oraclezoo/result/2"}']
)
def test_a_broken_file_is_named(folder: Path, text: str) -> None:
    """A file that may have been a result raises a one-line error that names it."""
    (folder / "odd.json").write_text(text)
    with pytest.raises(ResultError, match=r"odd\.json") as caught:
        load_results([folder])
    assert "\n" not in str(caught.value)


def test_nothing_to_load_says_what_to_do(tmp_path: Path) -> None:
    """Empty and missing folders raise errors that suggest ``oraclezoo bench``."""
    for source in (tmp_path, tmp_path / "none"):
        with pytest.raises(ResultError, match="run 'oraclezoo bench'"):
            load_results([source])


def test_published_results_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in the package of a wheel and under benchmarks in a checkout; otherwise an error."""
    package = tmp_path / "src" / "oraclezoo"
    package.mkdir(parents=True)
    monkeypatch.setattr(load, "PACKAGE", package)
    with pytest.raises(ResultError, match="no published results"):
        published_folder()
    checkout = tmp_path / "benchmarks" / "results"
    checkout.mkdir(parents=True)
    assert published_folder() == checkout
    (package / "_published").mkdir()
    assert published_folder() == package / "_published"
