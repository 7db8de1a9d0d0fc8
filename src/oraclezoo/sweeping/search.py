"""Search loop of a sweep: train one trial after another, resuming from the journal if possible."""

from __future__ import annotations

import math
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.contracts import Dataset
from oraclezoo.data.folds import deal
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.records import Epoch
from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OutOfMemoryError,
    PluginError,
    UsageError,
)
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.sweeping.records import Part, Point, Settings, Trial, Watch
from oraclezoo.training.train import train

if TYPE_CHECKING:
    from oraclezoo.sweeping.study import Study

RUNS = "runs"


class _PrunedError(Exception):
    """The pruner stopped the trial; the message states the step."""


class _LateError(Exception):
    """The time limit has passed."""


@dataclass(frozen=True)
class Training:
    """One of the training runs of a trial: its seed and its evaluation data."""

    seed: int
    data_dir: Path | None
    track: str | None


@dataclass(frozen=True)
class Search:
    """The trials of one sweep.

    ``ends`` is the time limit on the monotonic clock, or None; ``keep_runs`` says whether run
    folders are kept.
    """

    folder: Path
    base: Recipe
    registry: Registry
    study: Study
    settings: Settings
    execution: Execution
    watch: Watch
    trainings: list[Training]
    ends: float | None
    keep_runs: bool = False

    def run(self, wanted: int) -> bool:
        """Finish the first ``wanted`` trials. Return False if the time limit is reached first.

        Raises InterruptedRunError if the caller requested a stop.
        """
        trials = self.study.trials()
        for number in range(wanted):
            if number < len(trials) and trials[number].status != "running":
                continue
            if self.late():
                return False
            if self.watch.should_stop():
                raise InterruptedRunError(self.stopped())
            if number < len(trials):
                trial = trials[number]
            else:
                point = self.study.propose()
                trial = self.study.start(point, self.hash_of(point))
            try:
                status, reason = self._try(trial)
            except _LateError:
                return False
            self.watch.on_trial(self.study.end(number, status, reason))
        return True

    def _try(self, trial: Trial) -> tuple[str, str]:
        """Run the remaining training runs of a trial, and return its status and the reason."""
        try:
            self._train_all(trial)
        except _PrunedError as error:
            return "pruned", str(error)
        except (DivergedError, OutOfMemoryError, PluginError, UsageError) as error:
            return "failed", f"{type(error).__name__}: {error}"
        return "done", ""

    def _train_all(self, trial: Trial) -> None:
        recipe = resolve(self.base.override(trial.point), self.registry)
        if trial.curve and len(self.trainings) == 1:  # killed before the pruner decided
            step, value = max(trial.curve.items())
            self._consult_pruner(trial, step, value, f"after epoch {step}")
        values: list[float] = []
        for number in range(len(self.trainings)):
            part = trial.parts.get(number) or self.earlier(trial, number)
            part = part or self._train(trial, recipe, number)
            if number not in trial.parts:
                self.study.add_part(trial.number, number, part)
            values.append(part.accuracy if self.settings.metric == "accuracy" else part.loss)
            done = number + 1
            if done < len(self.trainings):
                mean = statistics.fmean(values)
                self._consult_pruner(trial, done, mean, f"after {done} training runs")

    def _train(self, trial: Trial, recipe: Recipe, number: int) -> Part:
        training = self.trainings[number]
        if training.track is not None:
            changes = {**trial.point, "data.track": training.track}
            recipe = resolve(self.base.override(changes), self.registry)
        run = Run(self.folder / RUNS / folder_name(recipe, training.seed))
        pruned: list[_PrunedError] = []
        reported = set(trial.curve)

        def report(epoch: Epoch) -> None:
            if len(self.trainings) > 1 or epoch.epoch == recipe.budget.epochs:
                return
            for row in run.metrics:  # includes the epochs before an interruption
                value = getattr(row, f"validation_{self.settings.metric}")
                if value is None or row.epoch in reported or pruned:
                    continue
                reported.add(row.epoch)
                try:
                    self._consult_pruner(trial, row.epoch, value, f"after epoch {row.epoch}")
                except _PrunedError as error:
                    pruned.append(error)

        def on_step(share: float) -> None:
            self.watch.on_step(trial.number + (number + share) / len(self.trainings))

        execution = self.execution
        try:
            done = train(
                recipe,
                data_dir=training.data_dir,
                seed=training.seed,
                out=self.folder / RUNS,
                resume=True,
                registry=self.registry,
                device=execution.device,
                stream_above=execution.stream_above,
                compile=execution.compile,
                on_epoch=report,
                on_step=on_step,
                should_stop=lambda: bool(pruned) or self.late() or self.watch.should_stop(),
                progress=self.watch.progress,
            )
        except (InterruptedRunError, KeyboardInterrupt) as error:
            if pruned:
                self.clear(run)
                raise pruned[0] from error
            if self.late():
                raise _LateError from error
            raise InterruptedRunError(self.stopped()) from error
        part = judge(done)
        self.clear(done)
        return part

    def _consult_pruner(self, trial: Trial, step: int, value: float, when: str) -> None:
        """Report a value to the pruner. Raises _PrunedError if the trial should be stopped."""
        if self.study.should_prune(trial.number, step, value):
            raise _PrunedError(when)

    def earlier(self, trial: Trial, part: int) -> Part | None:
        """Return the same training run from an earlier trial with the same recipe, or None."""
        for other in self.study.trials():
            if other.hash == trial.hash and part in other.parts:
                return other.parts[part]
        return None

    def hash_of(self, point: Point) -> str:
        """Return the hash of the recipe at a point; empty if the point is invalid."""
        try:
            return resolve(self.base.override(point), self.registry).hash
        except UsageError:  # raised again and recorded when the trial runs
            return ""

    def clear(self, run: Run) -> None:
        """Remove a run folder, unless run folders are kept."""
        if not self.keep_runs:
            shutil.rmtree(run.folder, ignore_errors=True)

    def late(self) -> bool:
        """Return whether the time limit has passed."""
        return self.ends is not None and time.monotonic() > self.ends

    def stopped(self) -> str:
        """Return the message for a sweep that is stopped."""
        finished = sum(trial.status != "running" for trial in self.study.trials())
        return (
            f"stopped with {finished} trials finished; {self.folder} keeps the state of the "
            "unfinished one: run the same command again to resume"
        )


def judge(run: Run) -> Part:
    """Return accuracy and loss for the weights that the recipe keeps. Raises DivergedError."""
    outcome = run.outcome
    accuracy: float | None = outcome.validation_accuracy
    loss: float | None = outcome.validation_loss
    if run.recipe.train.keep == "best":
        (row,) = (row for row in run.metrics if row.epoch == outcome.best_epoch)
        accuracy, loss = row.validation_accuracy, row.validation_loss
    if accuracy is None or loss is None or not (math.isfinite(accuracy) and math.isfinite(loss)):
        raise DivergedError(f"validation loss is {loss}")
    return Part(accuracy, loss, outcome.train_s)


def plan(dataset: Dataset, out: Path, settings: Settings, data_dir: Path | None) -> list[Training]:
    """Return the training runs that each trial needs, after writing the folds to ``out``."""
    if not settings.folds:
        return [Training(seed, data_dir, None) for seed in range(settings.seeds)]
    folders = deal(dataset, out, settings.folds)
    count = settings.folds * settings.seeds
    return [Training(k, folders[k % settings.folds], "idx") for k in range(count)]
