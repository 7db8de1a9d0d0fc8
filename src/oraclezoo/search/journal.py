"""Journal of a compression search: measurements of finished trials, so that none is repeated.

Each line is a JSON object with an ``event``: ``compression`` names the model, ``trial`` lists the
candidates of a trial, ``failed`` states why a trial failed, and ``again`` holds the latency of a
candidate that was timed a second time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oraclezoo.artifacts.jsonl import append
from oraclezoo.card import Backbone
from oraclezoo.codec import decode, encode
from oraclezoo.documents import read_rows
from oraclezoo.errors import ResultError
from oraclezoo.receipts.timing import Setting

SCHEMA = "oraclezoo/compression-journal/1"

PRECISIONS = ("fp32", "int8")
"""Precisions of candidates, which are also the names of their folders."""

LARGEST = 1e15
"""Largest value in a journal, in any unit."""

_POSITIVE = ("macs", "size_bytes", "size", "p50_ms", "latency")
_NOT_NEGATIVE = (*_POSITIVE, "accuracy", "loss", "lost", "gained", "loss_se")


@dataclass(frozen=True)
class Candidate:
    """A compressed model from a trial, compared with the original's float ONNX file.

    ``accuracy`` and ``difference`` are fractions of the validation images; ``ci95`` is the paired
    95% confidence interval of the difference, ``loss_limit95`` the one-sided 95% upper confidence
    limit of the drop in accuracy. ``latency``, ``size`` and ``macs`` are fractions of the
    original's latency, file size and multiply-accumulates. The latency is that of the fastest
    round; ``latency_rounds`` holds the minimum and maximum over rounds. ``again`` is the relative
    latency in the second measurement. ``loss`` is the cross-entropy in nats, and ``loss_se`` the
    standard error of its difference from the original's cross-entropy.
    """

    precision: str
    accuracy: float
    loss: float
    difference: float
    ci95: tuple[float, float]
    loss_limit95: float
    lost: int
    gained: int
    macs: float
    size_bytes: int
    size: float
    p50_ms: float
    latency: float
    latency_rounds: tuple[float, float]
    again: float | None = None
    loss_se: float = 0.0


@dataclass(frozen=True)
class Trial:
    """A trial: the fraction of the multiply-accumulates to keep, and the resulting candidates.

    The float candidate comes first. A failed trial has a ``reason`` and no candidates.
    """

    number: int = field(metadata={"json": "trial"})
    asked: float
    candidates: tuple[Candidate, ...]
    reason: str = ""

    @property
    def reached(self) -> float:
        """Remaining fraction of the multiply-accumulates, or the requested one after a failure."""
        return self.candidates[0].macs if self.candidates else self.asked


@dataclass(frozen=True)
class _Again:
    """The latency of a candidate in the second measurement, relative to the original's."""

    trial: int
    precision: str
    latency: float


class Journal:
    """A journal file; ``trials`` holds its trials in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials: list[Trial] = []
        try:
            for row in read_rows(path):
                self._add(row)
        except (OSError, ValueError) as error:
            raise ResultError(self._corrupt(error)) from error

    def begin(self, backbone: Backbone, setting: Setting) -> None:
        """Write the name of the backbone, for people who read the file."""
        row = {"backbone": encode(backbone), "setting": setting}
        append(self.path, {"event": "compression", "schema": SCHEMA, **row})

    def end(self, trial: Trial) -> None:
        """Write a finished trial."""
        event = "failed" if trial.reason else "trial"
        candidates = [dataclasses.asdict(candidate) for candidate in trial.candidates]
        row = {"trial": trial.number, "asked": trial.asked, "candidates": candidates}
        self._add(append(self.path, {"event": event, **row, "reason": trial.reason}))

    def again(self, trial: Trial, candidate: Candidate, latency: float) -> None:
        """Write the latency of a candidate's second measurement."""
        row = {"trial": trial.number, "precision": candidate.precision, "latency": latency}
        self._add(append(self.path, {"event": "again", **row}))

    def _add(self, row: Mapping[str, Any]) -> None:
        try:
            if row["event"] in ("trial", "failed"):
                trial = decode(Trial, row)
                _check(trial, len(self.trials) + 1)
                self.trials.append(trial)
            elif row["event"] == "again":
                self._time_again(decode(_Again, row))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ResultError(self._corrupt(f"trial {row.get('trial')}: {reason}")) from error

    def _time_again(self, row: _Again) -> None:
        if not 1 <= row.trial <= len(self.trials) or not 0 < row.latency <= LARGEST:
            raise ValueError(f"latency {row.latency} of a candidate that does not exist")
        trial = self.trials[row.trial - 1]
        if row.precision not in (candidate.precision for candidate in trial.candidates):
            raise ValueError(f"it has no candidate in {row.precision!r}")
        self.trials[row.trial - 1] = _timed_again(trial, row.precision, row.latency)

    def _corrupt(self, reason: object) -> str:
        return f"{self.path} is corrupt ({reason}): restart the compression with --overwrite"


def _check(trial: Trial, number: int) -> None:
    """Raise ValueError unless a trial is the one with this number, and its values can be."""
    if trial.number != number:
        raise ValueError(f"expected trial {number}")
    if not 0 < trial.asked <= 1:
        raise ValueError(f"asked is {trial.asked}; it must be above 0 and at most 1")
    if bool(trial.candidates) == bool(trial.reason):
        raise ValueError("it must have either candidates or a reason")
    precisions = [candidate.precision for candidate in trial.candidates]
    if sorted(set(precisions) & set(PRECISIONS)) != sorted(precisions):
        raise ValueError(f"precisions must differ and be among {', '.join(PRECISIONS)}")
    for candidate in trial.candidates:
        values = dataclasses.asdict(candidate)
        numbers = [v for v in values.values() if isinstance(v, (int, float))]
        numbers += [*candidate.ci95, *candidate.latency_rounds]
        if not all(abs(number) <= LARGEST for number in numbers):  # also if one is NaN
            raise ValueError("a value is too large or not a number")
        wrong = [name for name in _POSITIVE if values[name] <= 0]
        wrong += [name for name in _NOT_NEGATIVE if values[name] < 0]
        if wrong or candidate.accuracy > 1:
            name = wrong[0] if wrong else "accuracy"
            raise ValueError(f"{name} is {values[name]}")


def _timed_again(trial: Trial, precision: str, latency: float) -> Trial:
    candidates = tuple(
        dataclasses.replace(candidate, again=latency)
        if candidate.precision == precision
        else candidate
        for candidate in trial.candidates
    )
    return dataclasses.replace(trial, candidates=candidates)
