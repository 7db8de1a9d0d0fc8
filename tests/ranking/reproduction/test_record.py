"""Reproduction records: only valid records of the exact file count."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from oraclezoo.errors import ResultError
from oraclezoo.ranking.load import Entry, load_results
from oraclezoo.ranking.reproduction.record import (
    FOLDER,
    SCHEMA_FILE,
    Count,
    Reproduction,
    SeedPair,
    count,
    of_result,
    sha256_of,
)
from oraclezoo.ranking.table import leaderboard
from oraclezoo.result import Hardware

MakeEntry = Callable[..., Entry]


@pytest.fixture
def result(make_entry: MakeEntry) -> Path:
    """Return a result's file."""
    path = make_entry("a", np.random.default_rng(0).random((5, 40)) < 0.8).result.path
    assert path is not None
    return path


def record(path: Path, hardware: str = "here-2t", **changes: object) -> Reproduction:
    """Return a record of that file in which one prediction of the first seed changed."""
    pairs = tuple(SeedPair(s, 0.8, 0.8, int(s == 0), 0.5) for s in range(5))
    result = Reproduction(
        created="2026-02-01T00:00:00Z",
        verdict="within spread",
        against=(),
        result_id=path.stem,
        result_sha256=sha256_of(path),
        recipe_hash="0" * 64,
        complete=True,
        seeds=pairs,
        difference=0.0,
        p=1.0,
        limit=0.05,
        answers_p=0.9,
        corrupted_difference=None,
        corrupted_limit=None,
        oraclezoo="0.1.0",
        code_sha256="0" * 64,
        command="oraclezoo reproduce",
        hardware=Hardware(hardware, "CPU", None, "CPU", 2, 2, 2**33, "Linux", 0.1),
        libraries={"python": "3.11.0"},
        predictions_sha256="0" * 64,
    )
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]  # a test's shorthand


def test_file_and_back_changes_nothing(result: Path) -> None:
    """A saved record loads equal, from a file named after its result."""
    output = record(result)
    path = output.save(result.parent / FOLDER)
    assert path.name.startswith(result.stem)
    assert Reproduction.load(path) == output


def test_the_schema_is_valid_and_refuses_unknown_keys(result: Path) -> None:
    """The schema is valid Draft 2020-12, like that of results."""
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA_FILE.read_text()))
    document = record(result).to_json_dict()
    for broken in ({**document, "more": 1}, {**document, "p": 2}, {**document, "schema": "x"}, []):
        with pytest.raises(ResultError):
            Reproduction.from_json_dict(broken)


def test_the_verdict_must_follow_from_the_figures(result: Path) -> None:
    """A record whose verdict contradicts its figures is invalid."""
    with pytest.raises(ResultError, match="its figures imply 'within spread'"):
        record(result, verdict="same").save(result.parent / FOLDER)
    with pytest.raises(ResultError, match="its figures imply 'differs'"):
        record(result, difference=-0.1).save(result.parent / FOLDER)


def test_a_row_counts_the_records_of_its_very_file(result: Path) -> None:
    """Environments count once; partial, broken and other files' records do not count."""
    folder = result.parent / FOLDER
    assert of_result(result) == []
    record(result).save(folder)
    record(result, created="2026-02-02T00:00:00Z").save(folder)  # the same place again
    record(result, "there-4t").save(folder)
    record(result, "other-8t", complete=False).save(folder)
    record(result, "wrong-8t", result_sha256="1" * 64).save(folder)
    record(result, "apart-1t", difference=-0.1, verdict="differs", against=("x",)).save(folder)
    (folder / "broken.json").write_text("{")
    assert count(of_result(result)) == Count(confirmed=2, differing=1)
    table = leaderboard(load_results([result.parent]))
    assert (table.rows[0].reproductions, table.rows[0].reproductions_differing) == (2, 1)
    assert "reproduced 2×" in table.to_markdown()
    assert "differed 1×" in table.to_markdown()


def test_an_edited_result_loses_its_records(result: Path) -> None:
    """One more byte makes it a different file without reproductions."""
    record(result).save(result.parent / FOLDER)
    result.write_text(result.read_text() + "\n")
    assert of_result(result) == []
    assert "reproduced" not in leaderboard(load_results([result.parent])).to_markdown()


def test_one_that_differs_in_a_place_outweighs_that_place(result: Path) -> None:
    """An environment with one differing record does not count as confirming."""
    actual = [record(result), record(result, difference=-0.1, verdict="differs")]
    assert count(actual) == Count(confirmed=0, differing=1)
