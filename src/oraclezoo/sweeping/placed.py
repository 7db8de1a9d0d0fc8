"""Sweeps whose trainings an executor runs.

The trainings of a trial run at the same time. The samplers ``random`` and ``grid`` do not learn
from earlier trials, so that the trainings of all their trials do.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.artifacts.sources import code_sha256
from oraclezoo.contracts import Executor
from oraclezoo.engine.execution import Execution
from oraclezoo.errors import DivergedError, InterruptedRunError, ResultError, UsageError
from oraclezoo.executors.dispatch import Dispatch
from oraclezoo.executors.placement import Placement
from oraclezoo.jobs import Channel, Event, Failed, Message
from oraclezoo.jobs.task import Task
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.sweeping.records import Trial
from oraclezoo.sweeping.search import RUNS, Search, Training, judge

TASKS, EXECUTOR = "tasks", "executor"
"""Subfolders of a sweep for the trainings of unfinished trials and the executor's own files."""

INDEPENDENT = ("random", "grid")
"""Samplers whose proposals do not depend on the results of earlier trials."""

_ERRORS = {"diverged": "DivergedError", "out-of-memory": "OutOfMemoryError"}


@dataclass(frozen=True)
class TrialTraining:
    """Request for one training of a trial.

    Attributes:
        recipe: The resolved recipe.
        seed: The seed, which also determines the fold.
        runs: Folder for run folders.
        execution: Device and execution settings, with the folder of the fold.
        folds: Number of folds.
        resume: Whether to resume from a checkpoint.
    """

    ACTION: ClassVar[str] = "oraclezoo.sweeping.placed:train_part"
    INCIDENTAL: ClassVar[tuple[str, ...]] = ("resume",)

    recipe: Recipe
    seed: int
    runs: Path
    execution: Execution
    folds: int
    resume: bool = True


def train_part(request: TrialTraining, channel: Channel) -> None:
    """Train one part of a trial; its run folder is the result.

    Args:
        request: The request.
        channel: Channel for messages.
    """
    from oraclezoo.engine.records import Callbacks
    from oraclezoo.plugins.registry import build_registry
    from oraclezoo.training.train import Destination, train_resolved

    registry = build_registry()
    train_resolved(
        resolve(request.recipe, registry),
        request.seed,
        registry,
        request.execution,
        Destination(request.runs, resume=True),
        Callbacks(should_stop=channel.should_stop, progress=channel.message),
    )


@dataclass
class _Open:
    """A trial with trainings that have not ended; the first failure decides its status."""

    trial: Trial
    left: set[int] = field(default_factory=set)
    failure: str = ""


class PlacedSearch(Search):
    """The trials of a sweep, whose trainings an executor runs.

    Args:
        placement: The executor.
        search: Arguments of :class:`Search`.
    """

    def __init__(self, placement: Placement, *search: object) -> None:
        super().__init__(*search)  # type: ignore[arg-type]  # passed on unchanged
        object.__setattr__(self, "placement", placement)

    placement: Placement

    def run(self, wanted: int) -> bool:
        """Finish the first ``wanted`` trials. Return False if the time limit is reached first.

        Raises InterruptedRunError if the caller requested a stop.
        """
        executor = self.placement.create(self.registry, self.folder / EXECUTOR)
        try:
            if self.settings.folds and not executor.shared_folder:
                raise UsageError(
                    "folds need an executor with a shared folder, on which jobs find their images"
                )
            width = wanted if self.settings.sampler in INDEPENDENT else 1
            for first in range(0, wanted, width):
                if not self._run_trials(range(first, min(wanted, first + width)), executor):
                    return False
        finally:
            executor.close()
        for name in (TASKS, EXECUTOR):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return True

    def _run_trials(self, numbers: range, executor: Executor) -> bool:
        """Finish some trials, all at the same time."""
        parts = _Parts(self, executor)
        for number in numbers:
            trials = self.study.trials()
            if self.late():
                break
            if number < len(trials):
                trial = trials[number]
            else:
                point = self.study.propose()
                trial = self.study.start(point, self.hash_of(point))
            if trial.status == "running":
                parts.add_trial(trial)
        try:
            parts.dispatch.run(parts)
        except (InterruptedRunError, KeyboardInterrupt) as error:
            if self.late():
                return False
            raise InterruptedRunError(self.stopped()) from error
        return not self.late()


class _Parts:
    """The trainings of some trials, and the listener of their events."""

    def __init__(self, search: PlacedSearch, executor: Executor) -> None:
        self.search = search
        self.dispatch = Dispatch(
            search.folder / TASKS, executor, lambda: search.watch.should_stop() or search.late()
        )
        self._open: dict[int, _Open] = {}
        self._uses: dict[str, list[tuple[int, int]]] = {}
        self._runs: dict[str, Run] = {}

    def add_trial(self, trial: Trial) -> None:
        """Add the trainings of a trial that are missing."""
        search = self.search
        opened = self._open[trial.number] = _Open(trial)
        for number, training in enumerate(search.trainings):
            if number in trial.parts:
                continue
            part = search.earlier(trial, number)
            if part is not None:
                search.study.add_part(trial.number, number, part)
                continue
            try:
                task = self._task(trial, training)
            except UsageError as error:
                opened.failure = f"{type(error).__name__}: {error}"
                break
            opened.left.add(number)
            self._uses.setdefault(task.id, []).append((trial.number, number))
            self.dispatch.add(task)
        self._close(opened)

    def _task(self, trial: Trial, training: Training) -> Task:
        search = self.search
        track = {} if training.track is None else {"data.track": training.track}
        recipe = resolve(search.base.override({**trial.point, **track}), search.registry)
        execution = replace(search.execution, data_dir=training.data_dir)
        request = TrialTraining(
            recipe, training.seed, search.folder / RUNS, execution, search.settings.folds
        )
        run = Run(request.runs / folder_name(recipe, training.seed))
        inputs = hashlib.sha256(code_sha256().encode()).hexdigest()
        label = f"trial {trial.number} seed {training.seed}"
        task = Task(request, label, inputs, writes=(run.folder,))
        self._runs[task.id] = run
        return task

    def on_start(self, task: Task) -> None:
        """Do nothing."""

    def on_event(self, task: Task, event: Event) -> None:
        """Pass messages on."""
        if isinstance(event, Message):
            self.search.watch.progress(event.text)

    def on_end(self, task: Task, last: Event) -> None:
        """Record a training in every trial that uses it."""
        part, failure = None, ""
        if isinstance(last, Failed):
            failure = f"{_ERRORS.get(last.reason, last.reason)}: {last.message}"
        else:
            try:
                part = judge(self._runs[task.id])
            except (DivergedError, ResultError) as error:
                failure = f"{type(error).__name__}: {error}"
        for trial, number in self._uses[task.id]:
            opened = self._open[trial]
            opened.left.discard(number)
            opened.failure = opened.failure or failure
            if part is not None:
                self.search.study.add_part(trial, number, part)
            self._close(opened)
        if not isinstance(last, Failed):
            self.search.clear(self._runs[task.id])

    def _close(self, opened: _Open) -> None:
        """End a trial if nothing of it is left."""
        if opened.left:
            return
        status = "failed" if opened.failure else "done"
        trial = self.search.study.end(opened.trial.number, status, opened.failure)
        self.search.watch.on_trial(trial)
