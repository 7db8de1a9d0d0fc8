"""Run the jobs of a benchmark through an executor, all rows at once.

Trainings of all rows are submitted together, a compressed variant as soon as its run is there, and
measurements at the end. What counts is the runs folder: a job whose scored run exists is not
submitted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from oraclezoo.artifacts.record import Provenance, RunRecord
from oraclezoo.artifacts.run import folder_name
from oraclezoo.benching.progress import Progress
from oraclezoo.benching.recipe import RecipeBench
from oraclezoo.benching.seeds import without_times
from oraclezoo.benching.variant import CompressionJobs
from oraclezoo.codec import encode
from oraclezoo.contracts import Executor
from oraclezoo.executors.campaign import Campaign, Counts, Failure
from oraclezoo.executors.dispatch import Dispatch
from oraclezoo.jobs import Event, Failed, Message
from oraclezoo.jobs.lease import Observer
from oraclezoo.jobs.task import Task, TaskFolder
from oraclezoo.ranking import ledger
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.variants import Variant
from oraclezoo.result import data_key


@dataclass(frozen=True)
class Submitted:
    """Mode of rows whose jobs an executor runs.

    Attributes:
        timed: Whether times are reported.
        elsewhere: Whether jobs run on other machines, whose hardware may differ.
    """

    timed: bool
    elsewhere: bool

    def is_reusable(self, record: RunRecord, current: Provenance) -> bool:
        """Accept a run with equal provenance; its hardware is not known in advance elsewhere."""
        if self.timed:
            equal = self._key(record.provenance) == self._key(current)
            return equal and not record.parts and not record.concurrent
        parts = (record.provenance, *record.parts)
        return all(self._key(without_times(p)) == self._key(without_times(current)) for p in parts)

    def run(self, row: RecipeBench, seeds: Sequence[int]) -> None:
        """Do nothing: the jobs have ended before."""

    def _key(self, provenance: Provenance) -> Provenance:
        return replace(provenance, hardware={}) if self.elsewhere else provenance


@dataclass
class Totals:
    """Counts the jobs of all rows, for progress reports."""

    report: Callable[[Progress], None]
    kept: int = 0
    done: int = 0
    failed: list[Failure] = field(default_factory=list)
    measured: int = 0

    def __call__(self, progress: Progress) -> None:
        """Report an event with the number of finished jobs of all rows."""
        if progress.event == "kept":
            self.kept += 1
        elif progress.event == "done":
            self.done += 1
        elif progress.event == "measured":
            self.measured += 1
        elif progress.event == "failed" and isinstance(progress.detail, Failed):
            seed = "" if progress.seed is None else f" seed {progress.seed}"
            failed = progress.detail
            self.failed.append(Failure(f"{progress.recipe}{seed}", failed.reason, failed.message))
        finished = self.kept + self.done + len(self.failed) + self.measured
        self.report(replace(progress, done=finished))

    def counts(self, total: int, *, complete: bool) -> Counts:
        """Return the counts for the campaign."""
        done = self.done + self.measured
        failed = tuple(self.failed)
        waiting = total - self.kept - done - len(failed)
        return Counts(total, self.kept, waiting, 0, done, failed, complete)


@dataclass(frozen=True)
class _Place:
    """Purpose of a task: a seed of a row, or the measurement of a row if the seed is None."""

    row: RecipeBench
    seed: int | None


class Submission:
    """The jobs of all rows, and the listener of their events.

    Args:
        rows: Rows of the benchmark; rows of uncompressed recipes come first.
        seeds: The seeds.
        campaign: Folder of the campaign.
        totals: Counts of the events that the rows report.
        executor: The executor.
        should_stop: Called regularly; if it returns True, the jobs are cancelled.
    """

    def __init__(
        self,
        rows: Iterable[RecipeBench],
        seeds: Sequence[int],
        campaign: Campaign,
        totals: Totals,
        executor: Executor,
        should_stop: Callable[[], bool],
    ) -> None:
        self.rows, self.seeds, self.campaign = list(rows), list(seeds), campaign
        self.totals, self.executor = totals, executor
        self.dispatch = Dispatch(campaign.tasks, executor, should_stop)
        self._places: dict[str, _Place] = {}
        self._variants: dict[RecipeBench, list[RecipeBench]] = {}
        for row in self.rows:
            if isinstance(row.jobs, CompressionJobs):
                self._variants.setdefault(row.jobs.source, []).append(row)
        sources = [row for row in self.rows if not isinstance(row.jobs, CompressionJobs)]
        self.sources = list(dict.fromkeys([*sources, *self._variants]))

    @property
    def total(self) -> int:
        """Number of jobs."""
        return len({*self.sources, *self.rows}) * len(self.seeds) + len(self.rows)

    def run(self, *, wait: bool = True) -> bool:
        """Run all jobs; return False if ``wait`` is False and some have not ended yet."""
        for row in self.sources:
            for seed in self.seeds:
                self._add(row, seed)
        self._note_progress()
        if not self.dispatch.run(self, wait=wait):
            return False
        for row in dict.fromkeys([*self.sources, *self.rows]):
            row.runs = {seed: row.runs[seed] for seed in self.seeds if seed in row.runs}
            row.failures.sort(key=lambda failure: failure.seed)
            self._check_hardware(row)
        for row in self.rows:
            if row.runs:
                self._add_measurement(row)
        return self.dispatch.run(self, wait=wait)

    def _note_progress(self) -> None:
        self.campaign.write_progress(self.totals.counts(self.total, complete=False))

    def _add(self, row: RecipeBench, seed: int) -> None:
        """Add the job of a seed, unless its scored run exists; then its variants."""
        status = row.status(seed)
        if status == "scored":
            self._reuse(row, seed)
            return
        processes = None if row.timed else 1  # the number of neighbors is not known
        request = row.jobs.request(seed, resume=bool(status), processes=processes)
        reads, writes = _folders(row, seed)
        inputs = _digest(row.jobs.provenance(seed))
        task = Task(request, f"{row.recipe.label} seed {seed}", inputs, reads, writes)
        folder = TaskFolder(self.campaign.tasks / task.id)
        if not isinstance(folder.end(), (Failed, type(None))):
            if row.status(seed) == "scored":  # a job of an earlier process has just ended
                self._reuse(row, seed)
                return
            shutil.rmtree(folder.path)  # its run was removed
        if not status and Observer(folder.path).live() is None:
            run = row.jobs.run(seed)  # so that no later attempt resumes from a run that is not used
            for name in (run.FILE, "last.safetensors"):
                (run.folder / name).unlink(missing_ok=True)
        self._places[task.id] = _Place(row, seed)
        self.dispatch.add(task)

    def _reuse(self, row: RecipeBench, seed: int) -> None:
        row.reuse(seed)
        self._trained(row, seed)

    def _add_measurement(self, row: RecipeBench) -> None:
        run = next(iter(row.runs.values()))
        inputs = f"{row.recipe.hash} {_digest(run.record.provenance)}"
        request = row.measurement_request()
        task = Task(request, f"{row.recipe.label} measurement", inputs, (run.folder,))
        self._places[task.id] = _Place(row, None)
        self.dispatch.add(task)

    def _trained(self, row: RecipeBench, seed: int) -> None:
        """Continue after the job of a seed: add the next variant, or record that it has no model.

        Variants of one run share a pruned model, so they follow each other.
        """
        source = row.jobs.source if isinstance(row.jobs, CompressionJobs) else row
        variants = self._variants.get(source, [])
        if row is source and seed not in row.runs:
            (failure, *_) = (each for each in row.failures if each.seed == seed)
            for variant in variants:
                message = f"there is no model to compress: {failure.message}"
                variant.fail(Failed(failure.reason, message), seed)
            return
        rest = variants if row is source else variants[variants.index(row) + 1 :]
        if rest:
            self._add(rest[0], seed)

    def _check_hardware(self, row: RecipeBench) -> None:
        """Report no times for a row whose seeds were trained on different hardware."""
        kinds = {json.dumps(encode(run.record.provenance)["hardware"]) for run in row.runs.values()}
        if row.timed and len(kinds) > 1:
            row.timed = False
            text = "times are not reported: its seeds were trained on different hardware"
            row.report("message", None, Message(text))

    def on_start(self, task: Task) -> None:
        """Report the start of a job."""
        place = self._places[task.id]
        if place.seed is not None:
            place.row.report("start", place.seed)

    def on_event(self, task: Task, event: Event) -> None:
        """Report the progress of a training, or a message."""
        place = self._places[task.id]
        if place.seed is None:
            place.row.pass_message(event, None)
        else:
            place.row.pass_progress(event, place.seed)

    def on_end(self, task: Task, last: Event) -> None:
        """Record the outcome of a job."""
        row, seed = self._places[task.id].row, self._places[task.id].seed
        if seed is None:
            row.measurement = last
            return
        row.end(seed, last)
        if seed in row.runs and not self.executor.shared_folder:
            ledger.note(
                row.shared.results,
                track=row.recipe.data.track,
                data_key=data_key(row.runs[seed].scored().data_sha256),
                recipe_hash=row.recipe.hash,
            )
        self._trained(row, seed)
        self._note_progress()


def _folders(row: RecipeBench, seed: int) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the folders that the job of a seed reads and writes."""
    writes: tuple[Path, ...] = (row.jobs.run(seed).folder,)
    if not isinstance(row.jobs, CompressionJobs):
        return (), writes
    steps = Variant.parse(row.recipe.compress.steps)
    if steps.left is not None:
        pruned = row.recipe.override({"compress.steps": str(Variant(steps.left))})
        name = folder_name(resolve(pruned, row.shared.registry), seed)
        writes = tuple(dict.fromkeys((*writes, row.shared.runs / name)))
    return (row.jobs.source.runs[seed].folder,), writes


def _digest(provenance: Provenance) -> str:
    """Return the digest of a provenance without the hardware."""
    document: Mapping[str, object] = encode(replace(provenance, hardware={}))
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
