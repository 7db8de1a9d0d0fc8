"""A row of a benchmark: the jobs of a recipe with all its seeds, and their result.

Finished jobs are kept in the runs folder and reused; failed ones are run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oraclezoo.artifacts.record import provenance
from oraclezoo.artifacts.robustness import is_current
from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.artifacts.score import Score
from oraclezoo.benching.entry import Jobs, compose_result
from oraclezoo.benching.requests import Measurement, Scoring, Training
from oraclezoo.benching.reuse import KEPT, differences
from oraclezoo.contracts import Dataset
from oraclezoo.engine.execution import Execution
from oraclezoo.errors import InterruptedRunError, OracleZooError, ResultError
from oraclezoo.jobs import Event, Request, run_job
from oraclezoo.plugins.registry import Registry
from oraclezoo.ranking import ledger
from oraclezoo.recipe import Recipe
from oraclezoo.result import Result, data_key, timestamp


@dataclass(frozen=True)
class Progress:
    """An event of a running benchmark.

    Attributes:
        event: ``start``, ``epoch``, ``message``, ``done``, ``kept`` or ``failed`` of a job;
            ``apart`` if seeds cannot be stacked (``message`` says why); ``measure`` or
            ``measured`` of the size and latency of a recipe's model.
        recipe: Label of the recipe.
        seed: Seed of the job; None for events that concern all seeds.
        done: Number of finished jobs; running ones count in part.
        total: Number of jobs.
        fields: Further values, which depend on the event.
    """

    event: str
    recipe: str
    seed: int | None
    done: float
    total: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class Shared:
    """Settings that all jobs of a benchmark share.

    Attributes:
        registry: Registry of components.
        execution: How and where jobs compute.
        results: Folder of the results.
        runs: Folder of the run folders.
        fresh: Whether finished runs are ignored.
        robust: Whether corrupted test images are scored too.
        at_once: Number of concurrent seeds; None for an automatic choice.
        command: Command recorded in the results.
        report: Called with each event.
    """

    registry: Registry
    execution: Execution
    results: Path
    runs: Path
    fresh: bool
    robust: bool
    at_once: int | None
    command: str
    report: Callable[[Progress], None]


@dataclass(frozen=True)
class Position:
    """Place of a row in the benchmark: number of jobs before it, and in total."""

    offset: int
    total: int


class JobKind(Protocol):
    """The jobs of a row: one per seed, each leaving a run folder."""

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""

    @property
    def epochs(self) -> int:
        """Number of epochs of one job, for progress."""

    def run(self, seed: int) -> Run:
        """Return the run of a seed; its folder may not exist yet.

        Args:
            seed: The seed.

        Returns:
            The run.
        """

    def identity(self, seed: int) -> dict[str, Any]:
        """Return the provenance that the record of a run must have for the run to be reused.

        Args:
            seed: The seed.

        Returns:
            A JSON document.
        """

    def request(self, seed: int, *, resume: bool, processes: int | None = None) -> Request:
        """Return the request of a job.

        Args:
            seed: The seed.
            resume: Whether the job continues from a checkpoint.
            processes: Number of concurrent jobs; None for one at a time.

        Returns:
            The request.
        """


class Mode(Protocol):
    """Strategy that runs the jobs of a row."""

    timed: bool
    """Whether times are reported."""

    def serves(self, record: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
        """Return whether a kept run can replace a new one.

        Args:
            record: Record of the kept run.
            identity: Provenance of a new run.

        Returns:
            True if the kept run is reused.
        """

    def run(self, row: RecipeBench, seeds: Sequence[int]) -> None:
        """Run the jobs of the seeds that are not kept.

        Args:
            row: The row.
            seeds: All its seeds.
        """


class Sequential:
    """One job after another, without concurrent work; times are reported."""

    timed = True

    def serves(self, record: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
        """Accept a run of equal provenance that was trained in one piece and not in a stack.

        Args:
            record: Record of the kept run.
            identity: Provenance of a new run.

        Returns:
            True if the kept run is reused.
        """
        same = all(record.get(key) == value for key, value in identity.items())
        return same and not record.get("parts") and not record.get("together")

    def run(self, row: RecipeBench, seeds: Sequence[int]) -> None:
        """Run the seeds one by one.

        Args:
            row: The row.
            seeds: All its seeds.
        """
        for seed in seeds:
            row.run_seed(seed)


@dataclass(frozen=True)
class Trainings:
    """Jobs that train the recipe with each seed and score it."""

    shared: Shared
    recipe: Recipe
    dataset: Dataset

    @property
    def epochs(self) -> int:
        """Number of epochs of one job."""
        return self.recipe.budget.epochs

    def run(self, seed: int) -> Run:
        """Return the run of a seed.

        Args:
            seed: The seed.

        Returns:
            The run.
        """
        return Run(self.shared.runs / folder_name(self.recipe, seed))

    def identity(self, seed: int) -> dict[str, Any]:
        """Return the provenance of a new run.

        Args:
            seed: The seed.

        Returns:
            A JSON document.
        """
        execution = self.shared.execution
        return provenance(
            self.recipe,
            self.shared.registry,
            self.dataset,
            execution.torch_device(),
            seed,
            compile=execution.compile,
            deterministic=execution.deterministic,
        )

    def request(self, seed: int, *, resume: bool, processes: int | None = None) -> Training:
        """Return the request of a job.

        Args:
            seed: The seed.
            resume: Whether the job continues from a checkpoint.
            processes: Number of concurrent jobs; None for one at a time.

        Returns:
            The request.
        """
        shared = self.shared
        scoring = Scoring(shared.results, shared.robust, timed=processes is None)
        return Training(
            self.recipe, seed, shared.runs, resume, shared.execution, scoring, processes
        )


class RecipeBench:
    """A row of the benchmark: jobs of one kind, run in one mode.

    ``exported`` is True if the model's ONNX export is timed too, for comparison with variants.

    Args:
        shared: Settings of the benchmark.
        jobs: The jobs.
        dataset: The data set.
        position: Place of the row in the benchmark.
        mode: Strategy that runs the jobs.
    """

    def __init__(
        self, shared: Shared, jobs: JobKind, dataset: Dataset, position: Position, mode: Mode
    ) -> None:
        self.shared, self.jobs, self.recipe = shared, jobs, jobs.recipe
        self.dataset, self.mode = dataset, mode
        self.offset, self.total = position.offset, position.total
        self.exported = False
        self.runs: dict[int, Run] = {}
        self.failures: list[dict[str, Any]] = []
        self.fractions: dict[int, float] = {}
        """Finished fraction of each running concurrent job."""
        self._trained = False

    def result(self, seeds: Sequence[int]) -> Result:
        """Train what is not kept, measure one model, and save the result.

        Args:
            seeds: The seeds.

        Returns:
            The result.

        Raises:
            InterruptedRunError: If Ctrl-C stopped a job.
            ResultError: If the runs were scored on different test files.
        """
        self.train(seeds)
        measured = self._measure()
        return compose_result(
            Jobs(self.recipe, self.dataset, self.runs, self.failures, measured, self.mode.timed),
            self.shared.registry,
            self.shared.results,
            device=self.shared.execution.device,
            command=self.shared.command,
        )

    def train(self, seeds: Sequence[int]) -> None:
        """Train and score what is not kept; further calls do nothing.

        Args:
            seeds: The seeds.
        """
        if not self._trained:
            self.mode.run(self, seeds)
            self._trained = True

    def run_seed(self, seed: int) -> None:
        """Run the job of a seed, unless it is kept, and record its outcome.

        Args:
            seed: The seed.

        Raises:
            InterruptedRunError: If Ctrl-C stopped the job.
        """
        status = self.status(seed)
        if status == "scored":
            self.keep(seed)
            return
        self.tell("start", seed)
        self.conclude(self._train(seed, resume=bool(status)), seed)

    def conclude(self, last: Event, seed: int) -> None:
        """Record the outcome of a seed's job; one that left no scored run has failed.

        Args:
            last: Last event of the job.
            seed: The seed.
        """
        if last["event"] != "failed":
            try:
                self.jobs.run(seed).scored()
            except ResultError as error:
                last = {"event": "failed", "reason": "error", "message": f"it left no run: {error}"}
        if last["event"] == "failed":
            self.fail(last, seed)
        else:
            self.finish(seed, "done")

    def status(self, seed: int) -> str:
        """Return the state of a reusable run of a seed.

        Args:
            seed: The seed.

        Returns:
            ``"scored"``, ``"done"``, ``"running"``, ``"interrupted"``, or ``""`` if there is none.
        """
        if self.shared.fresh:
            return ""
        run = self.jobs.run(seed)
        try:
            record = run.record
        except OracleZooError:
            return ""
        identity = self.jobs.identity(seed)
        if not self.mode.serves(record, identity):
            why = differences(record, identity) or ["it was trained in parts or with others"]
            self.tell("message", seed, {"message": f"trained again because {'; '.join(why)}"})
            return ""
        status = str(record.get("status"))
        if status != "done":
            return status if status in ("running", "interrupted") else ""
        try:
            run.check()
        except ResultError:
            return ""
        try:
            Score.load(run.folder / "score.safetensors")
        except ResultError:
            return "done"
        if self.shared.robust and not is_current(record.get("robust")):
            return "done"
        return "scored" if "score" in record and "calibration_s" in record else "done"

    def keep(self, seed: int) -> None:
        """Reuse the scored run of a seed and record it in the ledger of the results folder.

        Args:
            seed: The seed.
        """
        ledger.note(
            self.shared.results,
            track=self.recipe.data.track,
            data_key=data_key(self.jobs.run(seed).scored().data_sha256),
            recipe_hash=self.recipe.hash,
        )
        self.finish(seed, "kept")

    def finish(self, seed: int, event: str) -> None:
        """Record the scored run of a seed and report it.

        Args:
            seed: The seed.
            event: ``kept`` or ``done``.
        """
        self.fractions.pop(seed, None)
        run = self.runs[seed] = self.jobs.run(seed)
        fields = {**run.record["score"], **({"reason": KEPT} if event == "kept" else {})}
        self.tell(event, seed, fields, part=1)
        self.offset += 1

    def fail(self, last: Event, seed: int, *, reported_seed: bool = True) -> None:
        """Record and report a failure.

        Args:
            last: Last event of the job.
            seed: The seed.
            reported_seed: Whether the reported event has the seed.
        """
        self.fractions.pop(seed, None)
        failure = {"reason": last["reason"], "message": last["message"]}
        self.failures.append({"seed": seed, **failure})
        fields = {**failure, "stderr": last.get("stderr", "")}
        self.tell("failed", seed if reported_seed else None, fields, part=1)
        self.offset += 1

    def pass_message(self, event: Event, seed: int | None) -> None:
        """Report the text of a ``message`` event; other events are ignored.

        Args:
            event: The event.
            seed: Seed of the job; None for all seeds.
        """
        if event["event"] == "message":
            self.tell("message", seed, {"message": event["message"]})

    def _train(self, seed: int, *, resume: bool) -> Event:
        """Run the job of a seed and return its last event."""

        def forward(event: Event) -> None:
            fields = {key: value for key, value in event.items() if key != "event"}
            if event["event"] == "epoch":
                self.tell("epoch", seed, fields, part=event["epoch"] / self.jobs.epochs)
            else:
                self.pass_message(event, seed)

        try:
            return run_job(self.jobs.request(seed, resume=resume), forward)
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"stopped in {self.recipe.label}, seed {seed}; finished jobs and the state of this "
                f"one are kept in {self.shared.runs}: run the same command again to continue"
            ) from error

    def _measure(self) -> Event | None:
        """Measure the model of the first seed; return None if that fails."""
        if not self.runs:
            return None
        self.tell("measure", None)
        seed, run = next(iter(self.runs.items()))
        device = self.shared.execution.device
        request = Measurement(run.folder, device, self.mode.timed, self.exported)
        try:
            measured = run_job(request, lambda event: self.pass_message(event, None))
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"stopped while measuring {self.recipe.label}; finished jobs are kept in "
                f"{self.shared.runs}: run the same command again to continue"
            ) from error
        if measured["event"] == "failed":
            measured["message"] = f"latency: {measured['message']}"
            self.fail(measured, seed, reported_seed=False)
            return None
        self.tell("measured", None, part=1)
        return measured

    def tell(
        self, event: str, seed: int | None, fields: dict[str, Any] | None = None, part: float = 0
    ) -> None:
        """Report an event and, except for epochs, append it to the journal.

        Args:
            event: Kind of the event.
            seed: Seed of the job; None for events that concern all seeds.
            fields: Further values of the event.
            part: Finished fraction of the current job.
        """
        values = fields or {}
        done = self.offset + part + sum(self.fractions.values())
        self.shared.report(Progress(event, self.recipe.label, seed, done, self.total, values))
        if event != "epoch":
            _journal(self.shared.runs, self.recipe, event, seed, values)


def _journal(
    runs: Path, recipe: Recipe, event: str, seed: int | None, fields: dict[str, Any]
) -> None:
    """Append an event to ``journal.jsonl`` in the runs folder."""
    runs.mkdir(parents=True, exist_ok=True)
    entry = {"recipe": recipe.name, "hash": recipe.hash12, "seed": seed, **fields}
    line = json.dumps({"time": timestamp(), "event": event, **entry}, ensure_ascii=False)
    with (runs / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
