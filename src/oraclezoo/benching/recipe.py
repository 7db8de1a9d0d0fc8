"""One row of a benchmark: run the jobs of a recipe with all seeds, and save the result.

Finished jobs in the runs folder are reused; failed jobs are run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from oraclezoo.artifacts.record import Provenance, RunRecord
from oraclezoo.artifacts.robustness import is_current
from oraclezoo.artifacts.run import Run
from oraclezoo.artifacts.score import Score
from oraclezoo.benching.entry import Jobs, compose_result
from oraclezoo.benching.events import EpochDone, Measured, StepDone
from oraclezoo.benching.progress import Detail, Progress, append_to_journal
from oraclezoo.benching.requests import Measurement
from oraclezoo.benching.reuse import differences
from oraclezoo.benching.shared import JobKind, Position, Shared
from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import digests
from oraclezoo.errors import InterruptedRunError, OracleZooError, ResultError, UsageError
from oraclezoo.jobs import Event, Failed, Message, run_job
from oraclezoo.ranking import ledger
from oraclezoo.result import Failure, Result, data_key


class Mode(Protocol):
    """Strategy for running the jobs of a row."""

    @property
    def timed(self) -> bool:
        """Whether times are reported."""

    def is_reusable(self, record: RunRecord, current: Provenance) -> bool:
        """Return whether an existing run can be used instead of a new one."""

    def run(self, row: RecipeBench, seeds: Sequence[int]) -> None:
        """Run the jobs of all seeds without a reusable run."""


class Sequential:
    """Run one job after another; times are reported."""

    timed = True

    def is_reusable(self, record: RunRecord, current: Provenance) -> bool:
        """Accept a run with equal provenance, trained without interruption or concurrent runs."""
        return record.provenance == current and not record.parts and not record.concurrent

    def run(self, row: RecipeBench, seeds: Sequence[int]) -> None:
        """Run the seeds one by one."""
        for seed in seeds:
            row.run_seed(seed)


class RecipeBench:
    """One row of the benchmark: jobs of one kind, run with one strategy.

    ``exported`` is True if the ONNX export of the model is timed too, for comparison with variants.

    Args:
        shared: Settings of the benchmark.
        jobs: The jobs of the row.
        dataset: The data set.
        position: Position of the row in the benchmark.
        mode: Strategy for running the jobs.
    """

    def __init__(
        self, shared: Shared, jobs: JobKind, dataset: Dataset, position: Position, mode: Mode
    ) -> None:
        self.shared, self.jobs, self.recipe = shared, jobs, jobs.recipe
        self.dataset, self.mode = dataset, mode
        self.offset, self.total = position.offset, position.total
        self.exported = False
        self.runs: dict[int, Run] = {}
        self.failures: list[Failure] = []
        self.fractions: dict[int, float] = {}
        """Finished fraction of each running job, keyed by seed."""
        self.measurement: Event | None = None
        """Outcome of the measurement, if it has been run already."""
        self.timed = mode.timed
        """Whether times are reported."""
        self._trained = False

    def result(self, seeds: Sequence[int]) -> Result:
        """Train the seeds that have no reusable run, measure one model, and save the result.

        Raises:
            InterruptedRunError: If Ctrl-C stopped a job.
            ResultError: If the runs were scored on different test files.
        """
        self.train(seeds)
        measured = self._measure()
        return compose_result(
            Jobs(
                self.recipe,
                self.dataset,
                self.runs,
                self.failures,
                measured,
                self.timed,
                self.shared.elsewhere,
            ),
            self.shared.registry,
            self.shared.results,
            device=self.shared.execution.device,
            command=self.shared.command,
        )

    def train(self, seeds: Sequence[int]) -> None:
        """Train and score the seeds that have no reusable run; repeated calls have no effect."""
        if not self._trained:
            self.mode.run(self, seeds)
            self._trained = True

    def run_seed(self, seed: int) -> None:
        """Run the job of a seed, unless there is a reusable run, and record the outcome.

        Raises:
            InterruptedRunError: If Ctrl-C stopped the job.
        """
        status = self.status(seed)
        if status == "scored":
            self.reuse(seed)
            return
        self.report("start", seed)
        self.end(seed, self._train(seed, resume=bool(status)))

    def end(self, seed: int, last: Event) -> None:
        """Record the outcome of a job; a job without a scored run counts as failed.

        Args:
            seed: The seed.
            last: Last event received from the job.
        """
        if not isinstance(last, Failed):
            try:
                self.jobs.run(seed).scored()
            except ResultError as error:
                last = Failed("error", f"it left no run: {error}")
        if isinstance(last, Failed):
            self.fail(last, seed)
        else:
            self.finish(seed, "done")

    def refuse_other_data(self, seeds: Sequence[int]) -> None:
        """Check that the run folders of the seeds hold no run on different data.

        Raises:
            UsageError: If one of them does.
        """
        for seed in seeds:
            run = self.jobs.run(seed)
            try:
                record = run.record
            except OracleZooError:
                continue
            if record.provenance.data_sha256 != digests(self.dataset, "train", "validation"):
                raise UsageError(
                    f"{run.folder} was trained on different data: choose another folder with "
                    "--runs, or replace it with --overwrite"
                )

    def status(self, seed: int) -> str:
        """Return the state of a reusable run of a seed.

        Returns:
            ``"scored"``, ``"done"``, ``"running"``, ``"interrupted"``, or ``""`` if there is none.
        """
        if self.shared.overwrite:
            return ""
        run = self.jobs.run(seed)
        try:
            record = run.record
        except OracleZooError:
            return ""
        current = self.jobs.provenance(seed)
        if not self.mode.is_reusable(record, current):
            reasons = differences(record.provenance, current)
            text = "; ".join(reasons) or "it was resumed, or trained with others at the same time"
            self.report("message", seed, Message(f"trained again because {text}"))
            return ""
        if record.status != "done":
            return record.status if record.status in ("running", "interrupted") else ""
        try:
            run.check()
        except ResultError:
            return ""
        try:
            Score.load(run.folder / "score.safetensors")
        except ResultError:
            return "done"
        evaluated = record.evaluated
        if evaluated is None or (self.shared.robust and not is_current(evaluated.robustness)):
            return "done"
        return "scored"

    def reuse(self, seed: int) -> None:
        """Reuse the scored run of a seed and record it in the ledger of the results folder."""
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
        self.report(event, seed, run.scored().evaluated.score, part=1)
        self.offset += 1

    def fail(self, last: Failed, seed: int, *, reported_seed: bool = True) -> None:
        """Record and report a failure.

        Args:
            last: Last event received from the job.
            seed: The seed.
            reported_seed: Whether the reported event includes the seed.
        """
        self.fractions.pop(seed, None)
        self.failures.append(Failure(seed, last.reason, last.message))
        self.report("failed", seed if reported_seed else None, last, part=1)
        self.offset += 1

    def pass_progress(self, event: Event, seed: int) -> None:
        """Report an event of a running training.

        Args:
            event: The event.
            seed: Seed of the job.
        """
        match event:
            case StepDone(share, seeds):
                self.fractions |= dict.fromkeys(seeds or (seed,), share)
                self.report("step", seed)
            case EpochDone(epoch):
                share = epoch.epoch / self.jobs.epochs  # less if the job has earlier epochs
                self.fractions[seed] = max(self.fractions.get(seed, 0.0), share)
                self.report("epoch", seed, epoch)
            case _:
                self.pass_message(event, seed)

    def pass_message(self, event: Event, seed: int | None) -> None:
        """Report the text of a message event; ignore other events.

        Args:
            event: The event.
            seed: Seed of the job; None for all seeds.
        """
        if isinstance(event, Message):
            self.report("message", seed, event)

    def _train(self, seed: int, *, resume: bool) -> Event:
        """Run the job of a seed and return its last event."""

        def forward(event: Event) -> None:
            self.pass_progress(event, seed)

        try:
            return run_job(self.jobs.request(seed, resume=resume), forward)
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"stopped in {self.recipe.label}, seed {seed}; finished jobs and the state of this "
                f"one are kept in {self.shared.runs}: run the same command again to continue"
            ) from error

    def measurement_request(self) -> Measurement:
        """Return the request to measure the model of the first seed; there must be one."""
        run = next(iter(self.runs.values()))
        return Measurement(run.folder, self.shared.execution.device, self.timed, self.exported)

    def _measure(self) -> Measured | None:
        """Measure the model of the first seed. Return None if the measurement fails."""
        if not self.runs:
            return None
        self.report("measure", None)
        seed = next(iter(self.runs))
        try:
            measured = self.measurement or run_job(
                self.measurement_request(), lambda event: self.pass_message(event, None)
            )
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"stopped while measuring {self.recipe.label}; finished jobs are kept in "
                f"{self.shared.runs}: run the same command again to continue"
            ) from error
        if isinstance(measured, Failed):
            failure = replace(measured, message=f"latency: {measured.message}")
            self.fail(failure, seed, reported_seed=False)
        if not isinstance(measured, Measured):
            return None
        self.report("measured", None, part=1)
        return measured

    def report(self, event: str, seed: int | None, detail: Detail = None, part: float = 0) -> None:
        """Report an event and, except for steps and epochs, append it to the journal.

        Args:
            event: Kind of the event.
            seed: Seed of the job; None for events that concern all seeds.
            detail: Additional values for the event.
            part: Finished fraction of the current job.
        """
        done = self.offset + part + sum(self.fractions.values())
        self.shared.report(Progress(event, self.recipe.label, seed, done, self.total, detail))
        if event not in ("step", "epoch"):
            append_to_journal(self.shared.runs, self.recipe, event, seed, detail)
