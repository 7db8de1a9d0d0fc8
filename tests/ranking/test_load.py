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
    """Two results and one of failures alone."""
    for name in ("a", "b"):
        make_entry(name, np.ones((2, 8), dtype=bool))
    make_entry("c", None, failures=(Failure(0, "killed", ""),))
    return tmp_path / "results"


def names(entries: list[Entry]) -> list[str]:
    """Names of the recipes, sorted."""
    return sorted(entry.result.recipe.name for entry in entries)


def test_a_folder_holds_what_was_saved_in_it(folder: Path) -> None:
    """Every result with its predictions; one of failures alone without."""
    entries = load_results([folder])
    assert names(entries) == ["a", "b", "c"]
    kept = {e.result.recipe.name: e.predictions is not None for e in entries}
    assert kept == {"a": True, "b": True, "c": False}


def test_files_can_be_named(folder: Path) -> None:
    """A file by its path; the same result twice, by path or by copy, is there once."""
    path = next(folder.glob("*-a-*.json"))
    assert names(load_results([path])) == ["a"]
    shutil.copytree(folder, folder.parent / "copy")
    assert names(load_results([str(folder), path, folder.parent / "copy"])) == ["a", "b", "c"]


def test_other_documents_are_passed_over(folder: Path) -> None:
    """JSON of another schema is no result, and none of our business until it is named."""
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
    """A file that may have been a result stops loading, by name, in one line."""
    (folder / "odd.json").write_text(text)
    with pytest.raises(ResultError, match=r"odd\.json") as caught:
        load_results([folder])
    assert "\n" not in str(caught.value)


def test_nothing_to_load_says_what_to_do(tmp_path: Path) -> None:
    """An empty folder and a missing one point at the command that makes results."""
    for source in (tmp_path, tmp_path / "none"):
        with pytest.raises(ResultError, match="run 'oraclezoo bench'"):
            load_results([source])


def test_published_results_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie next to the code in a wheel and under benchmarks in a checkout; else an error."""
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
