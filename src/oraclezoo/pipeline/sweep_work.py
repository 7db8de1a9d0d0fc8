"""Work of a sweep: its trials, one after another, each from where it stands in the journal."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.contracts import Dataset
from oraclezoo.data.folds import deal
from oraclezoo.engine.records import Epoch
from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OutOfMemoryError,
    PluginError,
    UsageError,
)
from oraclezoo.pipeline.sweep_journal import Journal, Part, Trial
from oraclezoo.pipeline.sweep_space import Point
from oraclezoo.pipeline.sweep_suggest import Suggester
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.train import train

RUNS = "runs"


@dataclass(frozen=True)
class PartOf:
    """One training of every trial: its seed, and the data it is judged on."""

    seed: int
    data_dir: Path | None
    track: str | None


@dataclass
class Work:
    """What all trials of a sweep share."""

    folder: Path
    base: Recipe
    registry: Registry
    journal: Journal
    suggester: Suggester
    metric: str
    parts: list[PartOf]
    options: dict[str, Any]
    keep_runs: bool
    on_trial: Callable[[Trial], None]
    should_stop: Callable[[], bool]
    progress: Callable[[str], None]
    ends: float | None

    def all(self, wanted: int) -> bool:
        """Bring the first ``wanted`` trials to their ends; whether time was enough."""
        for number in range(wanted):
            trial = self.journal.trials.get(number)
            if trial is not None and trial.status != "running":
                continue
            if self._late():
                return False
            if self.should_stop():
                raise InterruptedRunError(self._stopped())
            if trial is None:
                point = self.suggester.propose(number, self._ended())
                trial = self.journal.start(number, point, self._hash(point))
            if not self._trial(trial):
                return False
            self.on_trial(trial)
        return True

    def _trial(self, trial: Trial) -> bool:
        """Train what it lacks; whether it came to an end."""
        try:
            recipe = resolve(self.base.override(trial.point), self.registry)
            self.suggester.begin(trial.point, self._ended())
            for number, part in enumerate(self.parts):
                if number in trial.parts:
                    continue
                known = self.journal.known(trial.hash, number)
                if known is None:
                    known = self._train(trial, recipe, part)
                if known is None:
                    if self._pruned:
                        self.journal.end(trial, "pruned", f"after epoch {max(trial.curve)}")
                    return self._pruned
                self.journal.part(trial, number, known)
                if self._prune_by_parts(trial):
                    self.journal.end(trial, "pruned", f"after {number + 1} of its trainings")
                    return True
        except (DivergedError, OutOfMemoryError, PluginError, UsageError) as error:
            self.journal.end(trial, "failed", f"{type(error).__name__}: {error}")
            return True
        self.journal.end(trial, "done")
        return True

    _pruned = False

    def _train(self, trial: Trial, recipe: Recipe, part: PartOf) -> Part | None:
        """One training; None if it was given up, or time is over."""
        if part.track is not None:
            recipe = resolve(
                self.base.override({**trial.point, "data.track": part.track}), self.registry
            )
        run = Run(self.folder / RUNS / folder_name(recipe, part.seed))
        self._pruned = False

        def note(epoch: Epoch) -> None:
            if len(self.parts) > 1 or epoch.epoch == recipe.budget.epochs:
                return
            for row in run.metrics:  # those before a break too
                value = row[f"validation_{self.metric}"]
                if value is not None and row["epoch"] not in trial.curve:
                    self._pruned = self._prune(trial, row["epoch"], value)

        try:
            done = train(
                recipe,
                data_dir=part.data_dir,
                seed=part.seed,
                out=self.folder / RUNS,
                resume=True,
                registry=self.registry,
                on_epoch=note,
                should_stop=lambda: self._pruned or self._late() or self.should_stop(),
                progress=self.progress,
                **self.options,
            )
        except (InterruptedRunError, KeyboardInterrupt) as error:
            if self._pruned:
                self._clear(run)
                return None
            if self._late():
                return None
            raise InterruptedRunError(self._stopped()) from error
        found = judge(done)
        self._clear(done)
        return found

    def _prune_by_parts(self, trial: Trial) -> bool:
        """Whether a trial of several trainings is given up, by their mean so far."""
        give_up = False
        if len(trial.parts) < len(self.parts):
            for step in range(1, len(trial.parts) + 1):
                if step not in trial.curve:
                    values = [getattr(trial.parts[k], self.metric) for k in range(step)]
                    give_up = self._prune(trial, step, statistics.fmean(values))
        return give_up

    def _prune(self, trial: Trial, step: int, value: float) -> bool:
        trial.curve[step] = value
        return self.suggester.should_prune(step, value)

    def _ended(self) -> list[tuple[Trial, float | None]]:
        """All trials that are over, each with its value."""
        over = (t for _, t in sorted(self.journal.trials.items()) if t.status != "running")
        return [(trial, self._value(trial) if trial.status == "done" else None) for trial in over]

    def _value(self, trial: Trial) -> float:
        return trial.accuracy if self.metric == "accuracy" else trial.loss

    def _hash(self, point: Point) -> str:
        try:
            return resolve(self.base.override(point), self.registry).hash
        except UsageError:  # found out again, and told of, when it is to be trained
            return ""

    def _clear(self, run: Run) -> None:
        if not self.keep_runs:
            shutil.rmtree(run.folder, ignore_errors=True)

    def _late(self) -> bool:
        return self.ends is not None and time.monotonic() > self.ends

    def _stopped(self) -> str:
        over = sum(trial.status != "running" for trial in self.journal.trials.values())
        return (
            f"stopped with {over} trials over; the state of the one at work is kept in "
            f"{self.folder}: run the same command again to go on"
        )


def judge(run: Run) -> Part:
    """Accuracy and loss of the weights that the recipe keeps."""
    outcome = run.record["outcome"]
    accuracy, loss = outcome["validation_accuracy"], outcome["validation_loss"]
    if run.recipe.train.keep == "best":
        accuracy = outcome["best_validation_accuracy"]
        (row,) = (row for row in run.metrics if row["epoch"] == outcome["best_epoch"])
        loss = row["validation_loss"]
    return Part(float(accuracy), float(loss), float(outcome["train_s"]))


def parts_of(
    dataset: Dataset, out: Path, seeds: int, folds: int, data_dir: Path | None
) -> list[PartOf]:
    """The trainings of each trial; with folds, their data is dealt out to ``out`` first."""
    if not folds:
        return [PartOf(seed, data_dir, None) for seed in range(seeds)]
    places = deal(dataset, out, folds)
    return [PartOf(k, places[k % folds], "idx") for k in range(folds * seeds)]
