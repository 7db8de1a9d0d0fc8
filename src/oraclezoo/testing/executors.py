"""Conformance checks for executors, with small jobs that import nothing heavy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from oraclezoo.contracts import Executor
from oraclezoo.errors import InterruptedRunError
from oraclezoo.executors.dispatch import Dispatch
from oraclezoo.executors.probe import Behavior, Probe, Probed
from oraclezoo.jobs import Event
from oraclezoo.jobs.task import Task
from oraclezoo.testing.subject import Subject, fail

PATIENCE_S = 600.0
"""Seconds after which a job without an outcome violates the contract."""

METHODS = ("submit", "states", "cancel", "close")
MANY = 100


class Outcomes:
    """Listener that records the outcome of each task, keyed by job number."""

    def __init__(self) -> None:
        self.ends: dict[int, list[Event]] = {}
        self.started: set[int] = set()

    def on_start(self, task: Task) -> None:
        """Record the number of a running job."""
        self.started.add(_number(task))

    def on_event(self, task: Task, event: Event) -> None:
        """Ignore events before the last one."""

    def on_end(self, task: Task, last: Event) -> None:
        """Record an outcome."""
        self.ends.setdefault(_number(task), []).append(last)


def facts(subject: Subject) -> str:
    """Has the attributes and methods of the protocol, with values of their types."""
    with _connected(subject) as (executor, _):
        for name in ("exclusive", "shared_folder", "outlives"):
            if not isinstance(getattr(executor, name, None), bool):
                fail(f"its attribute {name} is not a bool")
        pause = getattr(executor, "poll_s", None)
        if not isinstance(pause, (int, float)) or not 0 < pause <= 60:
            fail(f"its attribute poll_s is {pause!r}; it must be above 0 and at most 60 seconds")
        for name in METHODS:
            if not callable(getattr(executor, name, None)):
                fail(f"it has no method {name}")
        if dict(executor.states([])) != {} or list(executor.submit([])) != []:
            fail("no jobs and no handles give something else than nothing")
        node = "exclusive" if executor.exclusive else "shared"
        return f"{node} nodes, {'a' if executor.shared_folder else 'no'} shared folder"


def outcomes(subject: Subject) -> None:
    """Reports success and failure, reruns a killed job, and eventually gives up."""
    behaviors: tuple[Behavior, ...] = ("succeed", "fail", "die-once", "die")
    with _connected(subject) as (executor, folder):
        kept = Outcomes()
        _run(executor, folder, kept, _tasks(folder, behaviors))
        for number, behavior in enumerate(behaviors):
            end = next(iter(kept.ends.get(number, [])), None)
            expected = {"succeed": Probed(number, 1), "die-once": Probed(number, 2)}.get(behavior)
            reason = {"fail": "error", "die": "killed"}.get(behavior)
            if expected is not None and end != expected:
                fail(f"a job with behavior '{behavior}' ended as {end}, not {expected}")
            if reason is not None and getattr(end, "reason", None) != reason:
                fail(f"a job with behavior '{behavior}' ended as {end}, not for reason '{reason}'")


def cancellation(subject: Subject) -> None:
    """A cancelled job ends without an outcome, and can be resubmitted."""
    with _connected(subject) as (executor, folder):
        kept = Outcomes()
        (task,) = _tasks(folder, ["wait"])
        start = time.monotonic()
        dispatch = Dispatch(
            folder / "tasks",
            executor,
            lambda: 0 in kept.started or time.monotonic() - start > PATIENCE_S,
        )
        dispatch.add(task)
        with suppress(InterruptedRunError):
            dispatch.run(kept)
        if 0 not in kept.started:
            fail(f"a job does not run after {PATIENCE_S:.0f} s")
        if kept.ends:
            fail(f"a cancelled job ended as {kept.ends[0][0]}; it should have been asked to stop")
        _run(executor, folder, kept, _tasks(folder, ["succeed"]))
        if not isinstance(kept.ends[0][0], Probed):
            fail(f"after a cancelled job, another one ended as {kept.ends[0][0]}")


def hundred(subject: Subject) -> None:
    """Runs each of a hundred jobs exactly once."""
    with _connected(subject) as (executor, folder):
        kept = Outcomes()
        _run(executor, folder, kept, _tasks(folder, ["succeed"] * MANY))
        wrong = {n: e for n, e in kept.ends.items() if e != [Probed(n, 1)]}
        if len(kept.ends) != MANY or wrong:
            fail(f"{len(kept.ends)} of {MANY} jobs ended, {len(wrong)} of them wrongly")


CHECKS = (facts, outcomes, cancellation, hundred)
SLOW = (outcomes, cancellation, hundred)


@contextmanager
def _connected(subject: Subject) -> Iterator[tuple[Executor, Path]]:
    """Yield the executor and a temporary folder for tasks."""
    with TemporaryDirectory(prefix="oraclezoo-check-") as name:
        folder = Path(name).resolve()
        (folder / "executor").mkdir()
        executor: Executor = subject.create(folder=folder / "executor")
        try:
            yield executor, folder
        finally:
            executor.close()


def _tasks(folder: Path, behaviors: Iterable[Behavior]) -> list[Task]:
    return [
        Task(
            Probe(number, folder / "work" / f"{behavior}-{number}", behavior),
            f"check {number}",
            writes=(folder / "work" / f"{behavior}-{number}",),
        )
        for number, behavior in enumerate(behaviors)
    ]


def _number(task: Task) -> int:
    assert isinstance(task.request, Probe)
    return task.request.number


def _run(executor: Executor, folder: Path, kept: Outcomes, tasks: list[Task]) -> None:
    start = time.monotonic()
    dispatch = Dispatch(folder / "tasks", executor, lambda: time.monotonic() - start > PATIENCE_S)
    for task in tasks:
        dispatch.add(task)
    try:
        dispatch.run(kept)
    except InterruptedRunError:
        fail(f"{len(tasks) - len(kept.ends)} jobs have no outcome after {PATIENCE_S:.0f} s")
