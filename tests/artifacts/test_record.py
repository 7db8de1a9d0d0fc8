"""The record of a run: its file, and what a resumed run must share with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.runs import OUTCOME, provenance, run_record
from oraclezoo.artifacts.provenance import check_resumable, earlier_parts
from oraclezoo.artifacts.record import Evaluated, Robustness, RunRecord, Scores, SourceRun
from oraclezoo.artifacts.run import Run
from oraclezoo.card import Source
from oraclezoo.errors import ResultError, UsageError


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run folder with a record."""
    run = Run(tmp_path)
    run.write(run_record())
    return run


def test_a_newer_oraclezoo_resumes_a_run(run: Run) -> None:
    """The version of oraclezoo's own components may differ, the name may not."""
    check_resumable(run, provenance(version="0.2.0"))
    renamed = replace(provenance(), components={"optimizer": Source("y", "oraclezoo", "0.1.0")})
    with pytest.raises(UsageError, match="different components"):
        check_resumable(run, renamed)
    with pytest.raises(UsageError, match="different data"):
        check_resumable(run, replace(provenance(), data_sha256={"a": "1"}))


def test_another_version_of_a_plugin_is_refused(run: Run) -> None:
    """A plugin does not promise that its checkpoints are compatible."""
    run.write(run_record(provenance("a-plugin", "1.0")))
    check_resumable(run, provenance("a-plugin", "1.0"))
    with pytest.raises(UsageError, match="different components"):
        check_resumable(run, provenance("a-plugin", "1.1"))


def test_parts_of_a_resumed_run_are_listed_if_they_differ() -> None:
    """On the same machine and code there is one part; else all but the last are listed."""
    record, other = run_record(), replace(provenance(), compile="on")
    assert earlier_parts(record, provenance()) == ()
    assert earlier_parts(record, other) == (provenance(),)
    record = replace(run_record(other), parts=(provenance(),))
    assert earlier_parts(record, provenance()) == (provenance(), other)


def test_a_run_that_is_not_scored_is_refused(run: Run) -> None:
    """A scored record has outcome and evaluation; it merges both sets of digests."""
    run.finish(OUTCOME)
    assert run.outcome == OUTCOME
    with pytest.raises(ResultError, match="not a scored run"):
        run.scored()
    evaluated = Evaluated(
        score=Scores(0.5, 0.7), test_sha256={"b": "1"}, calibration_s=None, robustness=None
    )
    run.write(replace(run.record, evaluated=evaluated))
    assert run.scored().data_sha256 == {"a": "0", "b": "1"}
    assert run.scored().outcome.steps == 4


def test_a_record_is_read_as_it_was_written() -> None:
    """With everything that a run or a variant may have; entries of the file are flat."""
    robustness = Robustness("1", 0, {"speckle": (0.5, 0.25)})
    record = replace(
        run_record(replace(provenance(), source=SourceRun("0" * 64, 2.5))),
        parts=(provenance(),),
        outcome=OUTCOME,
        evaluated=Evaluated(
            score=Scores(0.5, 0.7), test_sha256={}, calibration_s=0.1, robustness=robustness
        ),
        concurrent=3,
    )
    document = json.loads(json.dumps(record.to_json()))
    assert {"recipe", "seed", "run", "score", "robust", "together"} <= document.keys()
    assert RunRecord.from_json(document, "run.json") == record


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": "oraclezoo/run/2"}, "not a run record"),
        ({"seed": None}, "not a valid run record"),
        ({"outcome": {"steps": 1}}, "'examples' is missing"),
        ({"model": {"schema": "oraclezoo/model/1"}}, "not a valid model card"),
    ],
)
def test_an_invalid_record_is_one_error(run: Run, changes: dict[str, object], reason: str) -> None:
    """It names the file and what is wrong."""
    path = run.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ResultError, match=reason) as refused:
        _ = run.record
    assert str(path) in str(refused.value)
