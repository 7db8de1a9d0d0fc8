"""Concurrent training of several seeds, for accuracy-only benchmarks.

On a CPU each seed is trained in a separate process with a share of the cores. On an accelerator one
process trains all seeds as a stack (:mod:`oraclezoo.training.stacked`).
``benchmarks/seeds_at_once.py`` compares the strategies. Times are not reported, and the runs are
marked, so that timed benchmarks do not reuse them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from oraclezoo.benching.recipe import RecipeBench
from oraclezoo.benching.requests import Scoring, Stacked
from oraclezoo.engine.device import free_memory_bytes, pick
from oraclezoo.errors import InterruptedRunError
from oraclezoo.jobs import Event, run_job, run_jobs

PROCESS_BYTES = 1 << 30
"""Estimated memory of a training process."""

TIME_ONLY = {"provenance": ("compile",), "hardware": ("threads", "class")}
"""Entries of a run's provenance that affect its time; they affect its accuracy only by rounding."""


class Concurrent:
    """Strategy that trains several seeds concurrently; times are not reported."""

    timed = False

    def serves(self, record: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
        """Accept a run whose parts all have this provenance, up to entries that affect time only.

        Args:
            record: Record of the kept run.
            identity: Provenance of a new run.

        Returns:
            True if the kept run is reused.
        """
        wanted = _without_times(identity)
        return all(
            _without_times({key: part.get(key) for key in identity}) == wanted
            for part in (record, *record.get("parts", []))
        )

    def run(self, row: RecipeBench, seeds: Sequence[int]) -> None:
        """Reuse scored runs and train the other seeds.

        Args:
            row: The row.
            seeds: All its seeds.

        Raises:
            InterruptedRunError: If Ctrl-C stopped a job; finished jobs and checkpoints are kept.
        """
        row.fractions.clear()
        pending: dict[int, bool] = {}
        for seed in seeds:
            status = row.status(seed)
            if status == "scored":
                row.keep(seed)
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
        """Train each pending seed in a process.

        Args:
            row: The row.
            pending: For each seed to train, whether it resumes.
        """
        seeds, cores = list(pending), usable_cores()
        at_once = min(row.shared.at_once or processes(cores), max(1, len(seeds)))
        if at_once == 1:  # without concurrent work, as in a timed benchmark
            _one_by_one(row, pending)
            return

        def on_event(index: int, event: Event) -> None:
            if event["event"] == "epoch":
                _epoch(row, seeds[index], event)
            else:
                row.pass_message(event, seeds[index])

        def on_end(index: int, event: Event) -> None:
            row.conclude(event, seeds[index])

        run_jobs(
            [
                row.jobs.request(seed, resume=resume, processes=at_once)
                for seed, resume in pending.items()
            ],
            on_event,
            on_start=lambda index: row.tell("start", seeds[index]),
            on_end=on_end,
            at_once=at_once,
            threads=max(1, cores // at_once),
        )

    def stacked(self, row: RecipeBench, pending: Mapping[int, bool]) -> None:
        """Train all pending seeds in one process; one by one if they cannot be stacked.

        Args:
            row: The row.
            pending: For each seed to train, whether it resumes.
        """
        shared, reason = row.shared, ""
        if shared.execution.deterministic:
            reason = "--deterministic gives the weights of a separate training"
        if len(pending) < 2 or shared.at_once == 1 or reason:
            _one_by_one(row, pending, reason)
            return
        unfinished = set(pending)

        def on_event(event: Event) -> None:
            nonlocal reason
            if event["event"] == "epoch":
                _epoch(row, event["seed"], event)
            elif event["event"] == "scored":
                unfinished.discard(event["seed"])
                row.finish(event["seed"], "done")
            elif event["event"] == "diverged":
                unfinished.discard(event["seed"])
                row.fail({**event, "reason": "diverged"}, event["seed"])
            elif event["event"] == "apart":
                reason = event["message"]
            else:
                row.pass_message(event, None)

        for seed in pending:
            row.tell("start", seed)
        request = Stacked(
            recipe=row.recipe,
            seeds=tuple(pending),
            resume=tuple(seed for seed, resume in pending.items() if resume),
            at_once=shared.at_once,
            runs=shared.runs,
            execution=shared.execution,
            scoring=Scoring(shared.results, shared.robust, timed=False),
        )
        last = run_job(request, on_event)
        if reason:
            _one_by_one(row, pending, reason)
        elif last["event"] == "failed":
            if last["reason"] == "out-of-memory":
                last["message"] += "; train fewer seeds at a time, e.g. --jobs 4"
            for seed in sorted(unfinished):
                row.fail(last, seed)


def _one_by_one(row: RecipeBench, pending: Mapping[int, bool], reason: str = "") -> None:
    if reason:
        row.tell("apart", None, {"message": f"its seeds are trained one by one: {reason}"})
    for seed in pending:
        row.run_seed(seed)


def _epoch(row: RecipeBench, seed: int, event: Event) -> None:
    row.fractions[seed] = event["epoch"] / row.jobs.epochs
    fields = {key: value for key, value in event.items() if key not in ("event", "seed")}
    row.tell("epoch", seed, fields)


def processes(cores: int) -> int:
    """Return the number of concurrent trainings on a CPU: one per core and free GiB, at least one.

    Args:
        cores: Number of usable cores.

    Returns:
        Number of processes.
    """
    free = free_memory_bytes(pick("cpu"))
    return max(1, min(cores, free // PROCESS_BYTES))


def usable_cores() -> int:
    """Return the number of CPU cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _without_times(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's provenance without the entries that affect its time only."""
    kept = {k: v for k, v in provenance.items() if k not in TIME_ONLY["provenance"]}
    hardware = kept.get("hardware") or {}
    kept["hardware"] = {k: v for k, v in hardware.items() if k not in TIME_ONLY["hardware"]}
    return kept
