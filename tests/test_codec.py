"""Records as JSON data and back, as jobs and files exchange them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import oraclezoo as oz
from oraclezoo.benching.events import EpochDone, Measured, ModelSize
from oraclezoo.benching.requests import Compression, Scoring, Stacked, Training
from oraclezoo.card.receipt import LatencyRow
from oraclezoo.codec import decode, encode
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.records import Epoch
from oraclezoo.jobs import Failed, Message

RECIPE = oz.Recipe.load("quick")
EXECUTION = Execution(
    data_dir=Path("data"),
    stream_above="2GiB",
    trackers={"jsonl": {"path": "a.jsonl", "betas": (0.9, 0.99), "level": 2, "on": True}},
)
SCORING = Scoring(Path("results"), robust=True)


@pytest.mark.parametrize(
    "record",
    [
        Training(RECIPE, 3, Path("runs"), True, EXECUTION, SCORING, 2),
        Stacked(RECIPE, (0, 1), (), None, Path("runs"), Execution(), SCORING),
        Compression(Path("run"), RECIPE, 0, Path("runs"), False, EXECUTION, SCORING),
        EpochDone(Epoch(1, 9, 0.1, 0.5, None, None, 1.5, 100.0), seed=4),
        EpochDone(Epoch(1, 9, 0.1, 0.5, 0.4, 0.9, 1.5, 100.0)),
        Measured(
            ModelSize(1, 2, 3), (LatencyRow("eager", "fp32", "cpu", 1, 1, 30, 0.1, 0.2, 0.3),)
        ),
        Message("a line"),
        Failed("error", "it failed", "Traceback"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_requests_and_events_arrive_as_they_were_sent(record: Any) -> None:
    """Through the text that a pipe carries."""
    assert decode(type(record), json.loads(json.dumps(encode(record)))) == record


@dataclass(frozen=True)
class Example:
    count: int
    share: float
    pair: tuple[float, float]
    names: tuple[str, ...]
    note: str | None
    limits: Mapping[str, float] = field(default_factory=dict)
    size: int | None = field(default=None, metadata={"json": "bytes"})


WHOLE = {"count": 1, "share": 1, "pair": [0.5, 1], "names": ["a"], "note": None}


def test_what_is_empty_by_default_is_omitted() -> None:
    """Other entries are written, None included; a field may have another name in JSON."""
    record = decode(Example, WHOLE)
    assert record == Example(1, 1.0, (0.5, 1.0), ("a",), None)
    assert encode(record) == WHOLE
    assert encode(decode(Example, {**WHOLE, "bytes": 3, "limits": {"a": 1}})) == {
        **WHOLE,
        "bytes": 3,
        "limits": {"a": 1.0},
    }


def test_missing_entries_without_a_default_are_none_or_empty() -> None:
    """If their type permits; entries that are not known are ignored."""
    document = {"count": 1, "share": 0.5, "pair": [1, 2], "unknown": 1}
    assert decode(Example, document) == Example(1, 0.5, (1.0, 2.0), (), None)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"count": 1.0}, TypeError),
        ({"count": True}, TypeError),
        ({"count": "1"}, TypeError),
        ({"share": "0.5"}, TypeError),
        ({"share": None}, TypeError),
        ({"pair": [1]}, ValueError),
        ({"pair": "ab"}, TypeError),
        ({"names": {"a": 1}}, TypeError),
        ({"names": [1]}, TypeError),
        ({"note": 1}, TypeError),
        ({"limits": {"a": "b"}}, TypeError),
        ({"bytes": "3"}, TypeError),
    ],
)
def test_values_of_another_type_are_refused(
    changes: dict[str, object], error: type[Exception]
) -> None:
    """A file that was edited by hand is not read half."""
    with pytest.raises(error):
        decode(Example, {**WHOLE, **changes})
    with pytest.raises(KeyError, match="count"):
        decode(Example, {key: value for key, value in WHOLE.items() if key != "count"})
