"""Dispatch of tasks: submit them to an executor, monitor them, and resubmit lost ones."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from oraclezoo.contracts import Executor, Job, JobState
from oraclezoo.errors import InterruptedRunError
from oraclezoo.jobs import Event, Failed
from oraclezoo.jobs.lease import DEAD, RELEASED, Observer, attempts, next_attempt
from oraclezoo.jobs.task import Task, TaskFolder
from oraclezoo.storage import write_atomically

SUBMITTED = "submitted.json"
"""File in a task's folder with the submission of a job that outlives the submitting process."""

STOP_S = 60.0
"""Seconds to wait for cancelled jobs of an executor whose jobs outlive this process."""


class Listener(Protocol):
    """Receiver of the events of tasks; its methods may add further tasks."""

    def on_start(self, task: Task) -> None:
        """Note that a task has been seen running for the first time."""

    def on_event(self, task: Task, event: Event) -> None:
        """Note an event of a task."""

    def on_end(self, task: Task, last: Event) -> None:
        """Note the outcome of a task, which is :class:`oraclezoo.jobs.Failed` if it failed."""


@dataclass
class _Pending:
    """A task without an outcome."""

    task: Task
    folder: TaskFolder
    observer: Observer
    submission: str = ""
    handle: str | None = None
    started: bool = False
    offset: int = field(default=0)


class Dispatch:
    """Tasks that an executor runs.

    A task whose worker died is submitted again, and recorded as failed after as many deaths as
    :func:`oraclezoo.jobs.task.attempts_allowed` returns. A task that a live worker of another
    submission runs is waited for. Only one process at a time may dispatch the tasks of a folder.

    Args:
        root: Folder of the task folders.
        executor: The executor.
        should_stop: Called regularly; if it returns True, all jobs are cancelled.
    """

    def __init__(
        self, root: Path, executor: Executor, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.root, self.executor, self.should_stop = root, executor, should_stop
        self._added: set[str] = set()
        self._pending: dict[str, _Pending] = {}

    def add(self, task: Task) -> None:
        """Add a task, unless it has been added before; a task that failed earlier is tried again.

        Args:
            task: The task.

        Raises:
            OSError: Its folder cannot be written.
        """
        if task.id in self._added:
            return
        self._added.add(task.id)
        folder = task.create(self.root)
        folder.reopen()
        pending = _Pending(task, folder, Observer(folder.path))
        pending.offset = folder.events(0)[1]  # earlier events have been reported
        if self.executor.outlives:
            with suppress(OSError, ValueError, KeyError, TypeError):
                earlier = json.loads((folder.path / SUBMITTED).read_bytes())
                pending.handle, pending.submission = earlier["handle"], earlier["submission"]
        self._pending[task.id] = pending

    def run(self, listener: Listener, *, wait: bool = True) -> bool:
        """Submit all tasks and monitor them until they have outcomes.

        Args:
            listener: Receives the events.
            wait: Whether to wait; False returns as soon as every task is submitted.

        Returns:
            Whether all tasks have an outcome.

        Raises:
            InterruptedRunError: ``should_stop`` returned True. The jobs have been cancelled.
            OracleZooError: The executor failed.
        """
        try:
            while self._pending:
                if self.should_stop():
                    raise InterruptedRunError("the campaign was cancelled; its state is kept")
                states = self._states()
                for pending in list(self._pending.values()):
                    state = None if pending.handle is None else states.get(pending.handle)
                    self._follow(pending, state, listener)
                submitted = self._submit()
                if not wait and not submitted:
                    return not self._pending
                if self._pending:
                    time.sleep(self.executor.poll_s)
        except (KeyboardInterrupt, InterruptedRunError):
            self._cancel()
            raise
        except BaseException:
            if not self.executor.outlives:
                self._cancel()
            raise
        return True

    def _states(self) -> dict[str, JobState]:
        handles = [p.handle for p in self._pending.values() if p.handle is not None]
        return dict(self.executor.states(handles)) if handles else {}

    def _follow(self, pending: _Pending, state: JobState | None, listener: Listener) -> None:
        """Report what happened to a task since the last call."""
        if state == "waiting":
            return
        if state == "running" and not pending.started:
            pending.started = True
            listener.on_start(pending.task)
        gone = state != "running"
        last = pending.folder.end() if gone else None  # before the events, which precede it
        events, pending.offset = pending.folder.events(pending.offset)
        for event in events:
            if not isinstance(event, Failed):
                listener.on_event(pending.task, event)
        if gone and last is None and pending.handle is not None:
            last = self._lost(pending, events)
        if last is not None:
            del self._pending[pending.task.id]
            listener.on_end(pending.task, last)

    def _lost(self, pending: _Pending, events: list[Event]) -> Event | None:
        """Record that a job ended without an outcome, so that it is submitted again.

        Returns the outcome if there is one after all, or if the job died too often.
        """
        folder = pending.folder
        listed = attempts(folder.path)
        own = [a for a in listed if (o := a.owner) and o.submission == pending.submission]
        if own:
            own[-1].bury()  # has no effect if the worker released the task
        elif pending.observer.live() is None:  # it died before it owned the task, or elsewhere
            attempt = next_attempt(folder.path, pending.submission)
            if attempt is not None:
                stopped = [e for e in events if isinstance(e, Failed) and e.reason == "interrupted"]
                attempt.mark(RELEASED if stopped else DEAD)
        pending.handle, pending.started = None, False
        return folder.end() or folder.give_up()

    def _submit(self) -> bool:
        """Submit the tasks that no job runs; return whether there were any."""
        free = [
            pending
            for pending in self._pending.values()
            if pending.handle is None
            and pending.observer.live() is None
            and pending.folder.end() is None
        ]
        if not free:
            return False
        for pending in free:
            pending.submission = secrets.token_hex(6)
        handles = self.executor.submit([_job(pending) for pending in free])
        for pending, handle in zip(free, handles, strict=True):
            pending.handle = handle
            if self.executor.outlives:
                content = {"submission": pending.submission, "handle": handle}
                write_atomically(pending.folder.path / SUBMITTED, json.dumps(content).encode())
        return True

    def _cancel(self) -> None:
        """Cancel all jobs, and wait until they have saved their state."""
        handles = [p.handle for p in self._pending.values() if p.handle is not None]
        self.executor.cancel(handles)
        until = time.monotonic() + STOP_S
        while handles and (time.monotonic() < until or not self.executor.outlives):
            states = self.executor.states(handles)
            handles = [handle for handle in handles if states.get(handle) in ("waiting", "running")]
            time.sleep(min(0.2, self.executor.poll_s))


def submitted_handles(root: Path) -> Iterator[str]:
    """Yield the handles of submitted jobs that outlive the process, of tasks without an outcome.

    Args:
        root: Folder of the task folders.

    Yields:
        The handles.
    """
    for folder in map(TaskFolder, sorted(root.iterdir()) if root.is_dir() else ()):
        with suppress(OSError, ValueError, KeyError, TypeError):
            handle = json.loads((folder.path / SUBMITTED).read_bytes())["handle"]
            if folder.end() is None:
                yield handle


def _job(pending: _Pending) -> Job:
    task, folder = pending.task, pending.folder.path.resolve()
    command = (sys.executable, "-m", "oraclezoo.jobs", str(folder), pending.submission)
    return Job(task.id, task.label, folder, command, task.reads, task.writes)
