"""At once: the jobs of one recipe where accuracy alone is wanted, many seeds at a time.

How depends on the device, as benchmarks/seeds_at_once.py measures it. On a CPU: a process a seed,
side by side, each on its share of the cores. On an accelerator: one process, in which all seeds are
one stacked training (:mod:`oraclezoo.training.stacked`). Either way no time is worth taking, and
the runs are marked so that no timed result takes them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from oraclezoo.artifacts.run import Run
from oraclezoo.benching.recipe import RecipeBench
from oraclezoo.engine.device import free_memory_bytes, pick
from oraclezoo.errors import InterruptedRunError
from oraclezoo.jobs import Event, run_job, run_jobs

PROCESS_BYTES = 1 << 30
"""Memory that a training in a process of its own is taken to need."""

TIME_ALONE = {"provenance": ("compile",), "hardware": ("threads", "class")}
"""What two runs may differ in and still be of one accuracy, up to rounding."""


class AtOnce(RecipeBench):
    """All jobs of one recipe, as many seeds at a time as fit; its result has no times."""

    timed = False
    shares: dict[int, float]

    def _train_all(self, seeds: Sequence[int]) -> None:
        self.shares = {}
        pending: dict[int, bool] = {}
        for seed in seeds:
            run = self._run(seed)
            status = self._status(run, seed)
            if status == "scored":
                self._note_kept(run)
                self._end(seed, "kept")
            else:
                pending[seed] = bool(status)
        try:
            if pick(self.shared.device).type == "cpu":
                self._in_processes(pending)
            else:
                self._stacked(pending)
        except (KeyboardInterrupt, InterruptedRunError) as error:
            raise InterruptedRunError(
                f"stopped in {self.recipe.name}, {len(seeds) - len(self.runs)} of its {len(seeds)} "
                f"seeds unfinished; all finished jobs and the state of those that ran are kept in "
                f"{self.shared.runs}: run the same command again to go on"
            ) from error
        self.runs = {seed: self.runs[seed] for seed in seeds if seed in self.runs}

    def _serves(self, record: dict[str, Any], here: dict[str, Any]) -> bool:
        wanted = _but_times(here)
        return all(
            _but_times({key: part.get(key) for key in here}) == wanted
            for part in (record, *record.get("parts", []))
        )

    def _in_processes(self, pending: dict[int, bool]) -> None:
        """A process a seed, some at a time; each trains as it would alone."""
        seeds, cores = list(pending), usable_cores()
        at_once = min(self.shared.at_once or processes(cores), max(1, len(seeds)))
        if at_once == 1:  # alone on the machine, as in a timed benchmark
            self._one_by_one(pending)
            return

        def note(index: int, event: Event) -> None:
            if event["event"] == "epoch":
                self._epoch(seeds[index], event)
            elif event["event"] == "message":
                self._tell("message", seeds[index], {"message": event["message"]})

        def close(index: int, event: Event) -> None:
            self._end(seeds[index], "failed" if event["event"] == "failed" else "done", event)

        run_jobs(
            [
                {**self._request(seed, resume=resume), "together": at_once}
                for seed, resume in pending.items()
            ],
            note,
            on_start=lambda index: self._tell("start", seeds[index]),
            on_end=close,
            at_once=at_once,
            threads=max(1, cores // at_once),
        )

    def _stacked(self, pending: dict[int, bool]) -> None:
        """One process for all; one by one where these seeds cannot be one training."""
        why = ""
        if self.shared.deterministic:
            why = "--deterministic gives the weights of a lone training"
        if len(pending) < 2 or self.shared.at_once == 1 or why:
            self._one_by_one(pending, why)
            return
        left = set(pending)

        def note(event: Event) -> None:
            nonlocal why
            if event["event"] == "epoch":
                self._epoch(event["seed"], event)
            elif event["event"] == "message":
                self._tell("message", None, {"message": event["message"]})
            elif event["event"] == "scored":
                left.discard(event["seed"])
                self._end(event["seed"], "done")
            elif event["event"] == "diverged":
                left.discard(event["seed"])
                self._end(event["seed"], "failed", {**event, "reason": "diverged"})
            elif event["event"] == "apart":
                why = event["message"]

        for seed in pending:
            self._tell("start", seed)
        whole = self._request(0, resume=False)
        request = {
            **{key: whole[key] for key in whole if key not in ("seed", "compile", "deterministic")},
            "action": "oraclezoo.benching.actions:train_together",
            "seeds": list(pending),
            "resume": [seed for seed, resume in pending.items() if resume],
            "at_once": self.shared.at_once,
        }
        ended = run_job(request, note)
        if why:
            self._one_by_one(pending, why)
        elif ended["event"] == "failed":
            if ended["reason"] == "out-of-memory":
                ended["message"] += "; train fewer seeds at a time, e.g. --at-once 4"
            for seed in sorted(left):
                self._end(seed, "failed", ended)

    def _one_by_one(self, pending: dict[int, bool], why: str = "") -> None:
        if why:
            self._tell("apart", None, {"message": f"its seeds are trained one by one: {why}"})
        for seed in pending:
            self._seed(seed)

    def _epoch(self, seed: int, event: Event) -> None:
        self.shares[seed] = event["epoch"] / self.recipe.budget.epochs
        fields = {key: value for key, value in event.items() if key not in ("event", "seed")}
        self._tell("epoch", seed, fields)

    def _end(self, seed: int, how: str, event: Event | None = None) -> None:
        """Take a seed's job as over: kept, done or failed."""
        self.shares.pop(seed, None)
        if how == "failed":
            assert event is not None
            self._fail(event, seed, seed)
            return
        self.runs[seed] = Run(self._run(seed).folder)
        self._tell(how, seed, self.runs[seed].record["score"], part=1)
        self.offset += 1

    def _tell(
        self, event: str, seed: int | None, fields: dict[str, Any] | None = None, part: float = 0
    ) -> None:
        super()._tell(event, seed, fields, part + sum(self.shares.values()))


def processes(cores: int) -> int:
    """Trainings at a time on a CPU: one a core, as long as each has a gigabyte of memory."""
    free = free_memory_bytes(pick("cpu"))
    return max(1, min(cores, free // PROCESS_BYTES))


def usable_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _but_times(provenance: dict[str, Any]) -> dict[str, Any]:
    """A run's provenance without what changes its time alone."""
    kept = {k: v for k, v in provenance.items() if k not in TIME_ALONE["provenance"]}
    hardware = kept.get("hardware") or {}
    kept["hardware"] = {k: v for k, v in hardware.items() if k not in TIME_ALONE["hardware"]}
    return kept
