"""Journal of a compression search: measurements of finished trials, so that none is repeated.

Each line is a JSON object with an ``event``: ``compression`` names the model, ``trial`` lists the
candidates of a trial, ``failed`` states why a trial failed, and ``again`` holds the latency of a
candidate that was timed a second time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.artifacts.jsonl import append
from oraclezoo.card import Backbone
from oraclezoo.codec import decode, encode
from oraclezoo.documents import read_rows
from oraclezoo.errors import ResultError
from oraclezoo.receipts.timing import Setting

SCHEMA = "oraclezoo/compression-journal/1"


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

    number: int
    asked: float
    candidates: tuple[Candidate, ...]
    reason: str = ""

    @property
    def reached(self) -> float:
        """Remaining fraction of the multiply-accumulates, or the requested one after a failure."""
        return self.candidates[0].macs if self.candidates else self.asked


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
                candidates = tuple(decode(Candidate, entry) for entry in row["candidates"])
                self.trials.append(Trial(row["trial"], row["asked"], candidates, row["reason"]))
            elif row["event"] == "again":
                index, latency = int(row["trial"]) - 1, float(row["latency"])
                self.trials[index] = _timed_again(self.trials[index], row["precision"], latency)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ResultError(self._corrupt(f"trial {row.get('trial')}: {error!r}")) from error

    def _corrupt(self, reason: object) -> str:
        return f"{self.path} is corrupt ({reason}): restart the compression with --overwrite"


def _timed_again(trial: Trial, precision: str, latency: float) -> Trial:
    candidates = tuple(
        dataclasses.replace(candidate, again=latency)
        if candidate.precision == precision
        else candidate
        for candidate in trial.candidates
    )
    return dataclasses.replace(trial, candidates=candidates)
