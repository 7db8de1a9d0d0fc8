"""Train several seeds concurrently, for accuracy-only benchmarks.

On a CPU, each seed is trained in a separate process on a subset of the cores. On an accelerator,
one process trains all seeds as a stack (:mod:`oraclezoo.training.stacked`).
``benchmarks/seeds_at_once.py`` compares these strategies. Times are not reported, and the runs are
marked, so that timed benchmarks do not reuse them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from oraclezoo.artifacts.record import Provenance, RunRecord
from oraclezoo.benching.events import EpochDone, NotStacked, SeedDiverged, SeedScored, StepDone
from oraclezoo.benching.recipe import RecipeBench
from oraclezoo.benching.requests import Scoring, Stacked
from oraclezoo.engine.device import free_memory_bytes, pick
from oraclezoo.errors import InterruptedRunError
from oraclezoo.jobs import Event, Failed, Message, run_job, run_jobs

PROCESS_BYTES = 1 << 30
"""Estimated memory of a training process."""

TIME_ONLY = ("threads", "class")
"""Entries of ``hardware`` that affect training time, and accuracy only through rounding."""


class Concurrent:
    """Strategy that trains several seeds concurrently; times are not reported."""

    timed = False

    def is_reusable(self, record: RunRecord, current: Provenance) -> bool:
        """Accept a run if all its parts have this provenance, except for timing-related entries."""
        parts = (record.provenance, *record.parts)
        return all(without_times(part) == without_times(current) for part in parts)

    def run(self, row: RecipeBench, seeds: Sequence[int]) -> None:
        """Reuse scored runs and train the remaining seeds.

        Raises:
            InterruptedRunError: If Ctrl-C stopped a job; finished jobs and checkpoints are kept.
        """
        row.fractions.clear()
        pending: dict[int, bool] = {}
        for seed in seeds:
            status = row.status(seed)
            if status == "scored":
                row.reuse(seed)
            else:
                pending[seed] = bool(status)
        try:
            if row.shared.execution.torch_device().type == "cpu":
                self.in_processes(row, pending)
            else:
                self.stacked(row, pending)
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"stopped in {row.recipe.name}, {len(seeds) - len(row.runs)} of its {len(seeds)} "
                f"seeds unfinished; finished jobs and the state of running ones are kept in "
                f"{row.shared.runs}: run the same command again to continue"
            ) from error
        row.runs = {seed: row.runs[seed] for seed in seeds if seed in row.runs}

    def in_processes(self, row: RecipeBench, pending: Mapping[int, bool]) -> None:
        """Train each pending seed in a separate process.

        Args:
            row: The row of the benchmark.
            pending: Seeds to train, mapped to whether each is resumed from a checkpoint.
        """
        seeds, cores = list(pending), usable_cores()
        count = min(row.shared.concurrency or processes(cores), max(1, len(seeds)))
        if count == 1:  # nothing runs concurrently, as in a timed benchmark
            _one_by_one(row, pending)
            return

        def on_event(index: int, event: Event) -> None:
            row.pass_progress(event, seeds[index])

        run_jobs(
            [
                row.jobs.request(seed, resume=resume, processes=count)
                for seed, resume in pending.items()
            ],
            on_event,
            on_start=lambda index: row.report("start", seeds[index]),
            on_end=lambda index, last: row.end(seeds[index], last),
            concurrent=count,
            threads=max(1, cores // count),
        )

    def stacked(self, row: RecipeBench, pending: Mapping[int, bool]) -> None:
        """Train all pending seeds in one process, or one by one if they cannot be stacked.

        Args:
            row: The row of the benchmark.
            pending: Seeds to train, mapped to whether each is resumed from a checkpoint.
        """
        shared, reason = row.shared, ""
        if shared.execution.deterministic:
            reason = "--deterministic gives the weights of a separate training"
        if len(pending) < 2 or shared.concurrency == 1 or reason:
            _one_by_one(row, pending, reason)
            return
        unfinished = set(pending)

        def on_event(event: Event) -> None:
            nonlocal reason
            match event:
                case EpochDone(epoch, int(seed)):
                    row.pass_progress(EpochDone(epoch), seed)
                case StepDone(_, (seed, *_)):
                    row.pass_progress(event, seed)
                case SeedScored(seed):
                    unfinished.discard(seed)
                    row.finish(seed, "done")
                case SeedDiverged(seed, message):
                    unfinished.discard(seed)
                    row.fail(Failed("diverged", message), seed)
                case NotStacked(why):
                    reason = why
                case _:
                    row.pass_message(event, None)

        for seed in pending:
            row.report("start", seed)
        request = Stacked(
            recipe=row.recipe,
            seeds=tuple(pending),
            resume=tuple(seed for seed, resume in pending.items() if resume),
            stack_size=shared.concurrency,
            runs=shared.runs,
            execution=shared.execution,
            scoring=Scoring(shared.results, shared.robust, timed=False),
        )
        last = run_job(request, on_event)
        if reason:
            _one_by_one(row, pending, reason)
        elif isinstance(last, Failed):
            if last.reason == "out-of-memory":
                advice = "train fewer seeds at a time, e.g. --jobs 4"
                last = replace(last, message=f"{last.message}; {advice}")
            for seed in sorted(unfinished):
                row.fail(last, seed)


def _one_by_one(row: RecipeBench, pending: Mapping[int, bool], reason: str = "") -> None:
    if reason:
        row.report("apart", None, Message(f"its seeds are trained one by one: {reason}"))
    for seed in pending:
        row.run_seed(seed)


def processes(cores: int) -> int:
    """Return how many training runs to start concurrently on a CPU: one per core and free GiB.

    Args:
        cores: Number of cores available to this process.

    Returns:
        Number of processes, at least 1.
    """
    free = free_memory_bytes(pick("cpu"))
    return max(1, min(cores, free // PROCESS_BYTES))


def usable_cores() -> int:
    """Return the number of CPU cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def without_times(provenance: Provenance) -> Provenance:
    """Return a run's provenance without the entries that only affect its training time."""
    hardware = {k: v for k, v in provenance.hardware.items() if k not in TIME_ONLY}
    return replace(provenance, compile="", hardware=hardware)
