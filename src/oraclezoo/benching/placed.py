"""Benchmarks whose jobs an executor runs, as campaigns that any process can continue."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oraclezoo.artifacts.run import occupied, writable
from oraclezoo.benching.recipe import Mode, RecipeBench
from oraclezoo.benching.shared import Shared
from oraclezoo.benching.submitted import Submission, Submitted, Totals
from oraclezoo.codec import decode, encode
from oraclezoo.engine.execution import Execution
from oraclezoo.errors import InterruptedRunError, InUseError, ResultError
from oraclezoo.executors.campaign import FOLDER, Campaign, CampaignRecord, Counts
from oraclezoo.executors.dispatch import submitted_handles
from oraclezoo.executors.placement import Placement
from oraclezoo.jobs import Failed
from oraclezoo.jobs.task import TaskFolder
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.result import Result, timestamp


@dataclass(frozen=True, kw_only=True)
class BenchCall:
    """Arguments of a benchmark, which another process can use to continue it.

    Attributes:
        recipes: The resolved recipes of all rows.
        seeds: The seeds.
        execution: Device and execution settings.
        out: Folder for the results.
        runs: Folder for runs.
        accuracy_only: Whether times are never reported.
        robust: Whether to score corrupted test images too.
        command: Command recorded in the results.
    """

    recipes: tuple[Recipe, ...]
    seeds: tuple[int, ...]
    execution: Execution
    out: Path
    runs: Path
    accuracy_only: bool
    robust: bool
    command: str

    @property
    def id(self) -> str:
        """Digest of the recipes, seeds, results folder and kind of measurement."""
        parts = [
            sorted(recipe.hash for recipe in self.recipes),
            self.seeds,
            str(self.out),
            self.accuracy_only,
            self.robust,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    def arguments(self) -> dict[str, Any]:
        """Return keyword arguments for :func:`oraclezoo.bench`."""
        execution = self.execution
        return {
            "recipes": self.recipes,
            "seeds": self.seeds,
            "data_dir": execution.data_dir,
            "device": execution.device,
            "compile": execution.compile,
            "deterministic": execution.deterministic,
            "stream_above": execution.stream_above,
            "trackers": execution.trackers,
            "out": self.out,
            "runs": self.runs,
            "accuracy_only": self.accuracy_only,
            "robust": self.robust,
            "command": self.command,
        }


@dataclass(frozen=True)
class Plan:
    """Plan of a benchmark: the call, whether to start over, and where to report progress."""

    call: BenchCall
    overwrite: bool
    totals: Totals
    say: Callable[[str], None]

    @property
    def campaign(self) -> Campaign:
        """The campaign of the call."""
        return Campaign(self.call.runs / FOLDER / self.call.id)


class RowFactory(Protocol):
    """Function that creates the rows of a benchmark, keyed by recipe hash."""

    def __call__(
        self, seeds: int, mode: Mode, after: Callable[[RecipeBench], Mode]
    ) -> Mapping[str, RecipeBench]: ...


def bench_on(
    placement: Placement, plan: Plan, shared: Shared, make_rows: RowFactory
) -> list[Result]:
    """Run a benchmark through an executor and save the results.

    Args:
        placement: The executor.
        plan: What to run.
        shared: Settings of the benchmark.
        make_rows: Creates the rows.

    Returns:
        The results, in the order of the recipes; only those of finished rows if ``leave`` is set.

    Raises:
        InterruptedRunError: The benchmark was stopped or cancelled. Its state is kept.
        OracleZooError: The executor failed, or a folder cannot be used.
    """
    campaign, seeds = plan.campaign, plan.call.seeds
    with _results_folder(shared):
        writable(shared.runs)
    campaign.folder.mkdir(parents=True, exist_ok=True)
    with campaign.submitting(plan.say) as should_stop:
        campaign.write(_record(placement, plan))
        executor = placement.create(shared.registry, campaign.executor_folder)
        try:
            mode = Submitted(
                timed=executor.exclusive and not plan.call.accuracy_only,
                elsewhere=placement.elsewhere,
            )
            rows = make_rows(len(seeds), mode, lambda source: mode)
            if plan.overwrite:
                _remove(rows.values(), seeds, campaign)
            for row in rows.values():
                row.refuse_other_data(seeds)
            submission = Submission(
                rows.values(), seeds, campaign, plan.totals, executor, should_stop
            )
            campaign.write_progress(Counts(submission.total, waiting=submission.total))
            plan.say(f"campaign {campaign.id} in {campaign.folder}")
            finished = _run(submission, wait=not (placement.leave and executor.outlives))
            if not finished:
                return []
        finally:
            executor.close()
        with _results_folder(shared):
            results = {key: row.result(seeds) for key, row in rows.items()}
        _finish(campaign, plan.totals, submission.total)
    return [results[recipe.hash] for recipe in plan.call.recipes]


def _run(submission: Submission, *, wait: bool) -> bool:
    try:
        return submission.run(wait=wait)
    except (KeyboardInterrupt, InterruptedRunError) as error:
        raise InterruptedRunError(
            f"stopped campaign {submission.campaign.id}; finished jobs and the state of running "
            "ones are kept: run the same command again, or 'oraclezoo bench collect "
            f"{submission.campaign.folder}', to continue"
        ) from error


def _record(placement: Placement, plan: Plan) -> CampaignRecord:
    return CampaignRecord(
        id=plan.campaign.id,
        created=timestamp(),
        command=plan.call.command,
        executor=placement.executor,
        options=dict(placement.options),
        call=encode(plan.call),
    )


def call_of(campaign: Campaign) -> tuple[BenchCall, CampaignRecord]:
    """Return the arguments of a campaign's benchmark, and its record.

    Args:
        campaign: The campaign.

    Raises:
        ResultError: The campaign cannot be read.
    """
    record = campaign.record()
    try:
        return decode(BenchCall, record.call), record
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(f"{campaign.folder}: not a benchmark ({error})") from error


def cancel(campaign: Campaign, registry: Registry) -> int:
    """Stop a campaign: its process is asked to stop, and jobs that outlive it are cancelled.

    Waits until the process has ended.

    Args:
        campaign: The campaign.
        registry: Registry of components.

    Returns:
        Number of cancelled jobs that outlive the process.

    Raises:
        OracleZooError: The campaign cannot be read, or the executor failed.
    """
    record = campaign.record()
    campaign.cancel()
    while campaign.is_supervised():
        time.sleep(0.2)
    handles = list(submitted_handles(campaign.tasks))
    if handles:
        placement = Placement.of(record.executor, record.options, registry, leave=False)
        executor = placement.create(registry, campaign.executor_folder)
        try:
            executor.cancel(handles)
        finally:
            executor.close()
    return len(handles)


@contextmanager
def _results_folder(shared: Shared) -> Iterator[None]:
    """Lock the results folder, waiting for another process that writes a result."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(occupied(shared.results))
                break
            except InUseError:
                time.sleep(0.5)
        yield


def _remove(rows: Iterable[RecipeBench], seeds: Sequence[int], campaign: Campaign) -> None:
    """Remove the runs and tasks of earlier calls, so that every job is run again."""
    shutil.rmtree(campaign.tasks, ignore_errors=True)
    for row in rows:
        for seed in seeds:
            shutil.rmtree(row.jobs.run(seed).folder, ignore_errors=True)


def _finish(campaign: Campaign, totals: Totals, total: int) -> None:
    """Record that a campaign is complete, and remove its task folders except failed ones."""
    campaign.write_progress(totals.counts(total, complete=True))
    for path in campaign.tasks.iterdir() if campaign.tasks.is_dir() else []:
        if not isinstance(TaskFolder(path).end(), Failed):
            shutil.rmtree(path, ignore_errors=True)
    if not totals.failed:
        shutil.rmtree(campaign.tasks, ignore_errors=True)
        shutil.rmtree(campaign.executor_folder, ignore_errors=True)
