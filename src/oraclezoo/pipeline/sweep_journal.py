"""Journal of a sweep: JSON lines that are only ever appended to, and the trials they tell of.

``sweep`` says what is searched, ``trial`` begins one, ``part`` ends one of its trainings, and
``done``, ``pruned`` or ``failed`` ends it. A line cut short by a kill counts as not written.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oraclezoo.artifacts.jsonl import append, rows
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.pipeline.sweep_space import Point

SCHEMA = "oraclezoo/sweep-journal/1"


@dataclass(frozen=True)
class Part:
    """One training of a trial: accuracy in [0, 1] and loss in nats on images it did not see."""

    accuracy: float
    loss: float
    train_s: float


@dataclass
class Trial:
    """A point of the space; ``parts`` by number: a seed, or a fold. ``curve`` is by step."""

    number: int
    point: Point
    hash: str
    parts: dict[int, Part] = field(default_factory=dict)
    status: str = "running"
    reason: str = ""
    curve: dict[int, float] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Mean over parts."""
        return statistics.fmean(part.accuracy for part in self.parts.values())

    @property
    def loss(self) -> float:
        """Mean over parts, nats."""
        return statistics.fmean(part.loss for part in self.parts.values())

    @property
    def accuracy_se(self) -> float | None:
        """Standard error of the mean over parts; None of one."""
        values = [part.accuracy for part in self.parts.values()]
        return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None

    @property
    def train_s(self) -> float:
        """Seconds of all parts."""
        return sum(part.train_s for part in self.parts.values())


class Journal:
    """The file, and what it tells: ``trials`` by number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.definition: dict[str, Any] | None = None
        self.trials: dict[int, Trial] = {}
        for row in rows(path):
            try:
                self._take(row)
            except (KeyError, TypeError, ValueError) as error:
                raise ResultError(
                    f"{path}: not the journal of a sweep ({error!r}); choose another --out"
                ) from error

    def begin(self, definition: dict[str, Any]) -> None:
        """Say what is searched, or check that it is what was. Raises UsageError."""
        plain = json.loads(json.dumps(definition, default=list))
        if self.definition is None:
            self._append({"event": "sweep", "schema": SCHEMA, **plain})
            return
        for key, value in plain.items():
            if self.definition.get(key) != value:
                raise UsageError(
                    f"{self.path.parent} holds a sweep with another {key}; "
                    "go on with that one by its own options, or choose another --out"
                )

    def start(self, number: int, point: Point, recipe_hash: str) -> Trial:
        """Begin a trial."""
        self._append({"event": "trial", "trial": number, "point": point, "hash": recipe_hash})
        return self.trials[number]

    def part(self, trial: Trial, number: int, part: Part) -> None:
        """End one training of a trial."""
        row = {"accuracy": part.accuracy, "loss": part.loss, "train_s": part.train_s}
        self._append({"event": "part", "trial": trial.number, "part": number, **row})

    def end(self, trial: Trial, status: str, reason: str = "") -> None:
        """End a trial: done, pruned or failed."""
        curve = sorted(trial.curve.items())
        row = {"event": status, "trial": trial.number, "reason": reason, "curve": curve}
        self._append(row)

    def known(self, recipe_hash: str, number: int) -> Part | None:
        """What is known of a recipe's part, from any trial: none is trained twice."""
        for trial in self.trials.values():
            if trial.hash == recipe_hash and number in trial.parts:
                return trial.parts[number]
        return None

    def _take(self, row: dict[str, Any]) -> None:
        event = row["event"]
        if event == "sweep":
            self.definition = row
            return
        number = int(row["trial"])
        if event == "trial":
            point = {k: tuple(v) if isinstance(v, list) else v for k, v in row["point"].items()}
            self.trials[number] = Trial(number, point, row["hash"])
            return
        trial = self.trials[number]
        if event == "part":
            found = Part(row["accuracy"], row["loss"], row["train_s"])
            trial.parts[int(row["part"])] = found
        else:
            trial.status, trial.reason = str(event), str(row["reason"])
            trial.curve = {int(step): float(value) for step, value in row["curve"]}

    def _append(self, row: dict[str, Any]) -> None:
        self._take(append(self.path, row))
