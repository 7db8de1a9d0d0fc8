"""Journal of a compression: each trial as it was measured, so that none is made twice.

``compression`` says what is compressed, ``trial`` ends one with what it made, ``failed`` with why
it made nothing, and ``again`` has the latency of a candidate that was timed a second time.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.artifacts.jsonl import append, rows
from oraclezoo.errors import ResultError

SCHEMA = "oraclezoo/compression-journal/1"


@dataclass(frozen=True)
class Candidate:
    """A model that a trial made, and how it stands against the original's float ONNX file.

    ``accuracy`` and ``difference`` are shares of the validation images, with the paired 95%
    interval and the one-sided limit of the loss; ``latency``, ``size`` and ``macs`` shares of the
    original's: of the median time of a pass (the calmest round; lowest and highest of the rounds),
    of the bytes of the file, of the multiply-accumulates. ``again`` is the latency when it was
    timed a second time. ``loss`` is the cross-entropy in nats, ``loss_se`` the standard error over
    images of how far it is from the original's.
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
    """One strength: the share of the multiply-accumulates asked for, and what came of it.

    ``candidates`` has float first; it is empty, and ``reason`` says why, if the trial failed.
    """

    number: int
    asked: float
    candidates: tuple[Candidate, ...]
    reason: str = ""

    @property
    def reached(self) -> float:
        """Share of the multiply-accumulates that is left; what was asked if the trial failed."""
        return self.candidates[0].macs if self.candidates else self.asked


class Journal:
    """The file, and what it tells: ``trials`` in their order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials: list[Trial] = []
        for row in rows(path):
            self._take(row)

    def begin(self, **told: Any) -> None:
        """Say what is compressed, for those who read the file."""
        append(self.path, {"event": "compression", "schema": SCHEMA, **told})

    def end(self, trial: Trial) -> None:
        """Note what a trial came to."""
        event = "failed" if trial.reason else "trial"
        made = [dataclasses.asdict(candidate) for candidate in trial.candidates]
        row = {"trial": trial.number, "asked": trial.asked, "candidates": made}
        self._take(append(self.path, {"event": event, **row, "reason": trial.reason}))

    def again(self, trial: Trial, candidate: Candidate, latency: float) -> None:
        """Note that a candidate was timed again."""
        row = {"trial": trial.number, "precision": candidate.precision, "latency": latency}
        self._take(append(self.path, {"event": "again", **row}))

    def _take(self, row: dict[str, Any]) -> None:
        try:
            if row["event"] in ("trial", "failed"):
                made = tuple(_candidate(entry) for entry in row["candidates"])
                self.trials.append(Trial(row["trial"], row["asked"], made, row["reason"]))
            elif row["event"] == "again":
                number = int(row["trial"]) - 1
                self.trials[number] = _timed_again(self.trials[number], row)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ResultError(
                f"{self.path} is damaged ({error!r}); --overwrite starts anew"
            ) from error


def _candidate(entry: dict[str, Any]) -> Candidate:
    low, high = entry.pop("ci95")
    first, last = entry.pop("latency_rounds")
    return Candidate(**entry, ci95=(low, high), latency_rounds=(first, last))


def _timed_again(trial: Trial, row: dict[str, Any]) -> Trial:
    made = tuple(
        dataclasses.replace(candidate, again=float(row["latency"]))
        if candidate.precision == row["precision"]
        else candidate
        for candidate in trial.candidates
    )
    return dataclasses.replace(trial, candidates=made)
