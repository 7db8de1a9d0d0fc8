"""Run functions as jobs in separate processes, so that measurements do not affect each other.

A job is started as ``python -m oraclezoo.jobs``. It reads one JSON document from standard input,
with the function to call, as ``module:function``, and the fields of its request. It writes one
event per line to standard output: the event's class and fields as JSON. All other output of
components goes to standard error.

``python -m oraclezoo.jobs FOLDER`` runs the same document from a folder, without a parent process
that listens: see :mod:`oraclezoo.jobs.worker`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import typing
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import Queue
from threading import Thread
from typing import Any

from oraclezoo.codec import decode
from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    InUseError,
    OracleZooError,
    OutOfMemoryError,
    PluginError,
)
from oraclezoo.jobs.messages import (
    Ended,
    Event,
    Failed,
    Message,
    Request,
    attribute,
    event_from_json,
    event_to_json,
    to_json,
)
from oraclezoo.signals import STOPPING

__all__ = [
    "Channel",
    "Ended",
    "Event",
    "Failed",
    "Message",
    "Request",
    "main",
    "perform",
    "run_job",
    "run_jobs",
    "to_json",
]

_REASONS: dict[type[OracleZooError], str] = {
    DivergedError: "diverged",
    OutOfMemoryError: "out-of-memory",
}

END = "end"
"""Last line of a job whose function returned; without it, the process died early."""

STDERR_KEPT = 4000
"""Maximum number of characters of a failed job's standard error that its last event contains."""


class Channel:
    """A job's connection to its parent process."""

    waits_for_folders = False
    """Whether the caller of :func:`perform` waits if another process uses a folder of the job."""

    def __init__(self) -> None:
        self._events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        os.dup2(2, 1)  # stray output must not mix with the events
        self._stopping = False
        self._parent = os.getppid()
        for number in STOPPING:
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def should_stop(self) -> bool:
        """Return True after Ctrl-C, SIGTERM or SIGHUP, or if the parent process is gone.

        Returns:
            True if the job should save its state and end.
        """
        return self._stopping or os.getppid() != self._parent

    def send(self, event: Event) -> None:
        """Send an event; if the parent process no longer reads, request a stop.

        Args:
            event: The event.
        """
        try:
            self._events.write(json.dumps(event_to_json(event)) + "\n")
        except BrokenPipeError:
            self._stopping = True

    def end(self) -> None:
        """Tell the parent process that the job is complete."""
        with suppress(BrokenPipeError):
            self._events.write(json.dumps({"event": END}) + "\n")

    def message(self, text: str) -> None:
        """Send a line of text for the user.

        Args:
            text: The line.
        """
        self.send(Message(text))


def run_job(request: Request, on_event: Callable[[Event], None] = lambda event: None) -> Event:
    """Run one job in a separate process.

    Args:
        request: The request.
        on_event: Called with each event.

    Returns:
        The last event, which is :class:`Failed` if the job failed or its process died.

    Raises:
        InterruptedRunError: If Ctrl-C stopped the job; it has saved its state.
    """
    (last,) = run_jobs([request], lambda index, event: on_event(event))
    return last


def run_jobs(
    requests: Sequence[Request],
    on_event: Callable[[int, Event], None] = lambda index, event: None,
    *,
    on_start: Callable[[int], None] = lambda index: None,
    on_end: Callable[[int, Event], None] = lambda index, event: None,
    concurrent: int = 1,
    threads: int | None = None,
) -> list[Event]:
    """Run several jobs in separate processes.

    Args:
        requests: One request per job.
        on_event: Called with the index of a job and its event, in the calling thread.
        on_start: Called with the index of a job before it starts.
        on_end: Called with the index of a job and its last event.
        concurrent: Number of jobs that run concurrently.
        threads: CPU threads of each job; None for the default.

    Returns:
        The last event of each job, as from :func:`run_job`.

    Raises:
        InterruptedRunError: If Ctrl-C stopped the jobs; all have saved their state.
    """
    ended: dict[int, Event] = {}
    events: Queue[tuple[int, Event | None]] = Queue()
    waiting, running = deque(enumerate(requests)), dict[int, _Process]()
    try:
        while waiting or running:
            while waiting and len(running) < concurrent:
                index, request = waiting.popleft()
                on_start(index)
                running[index] = _Process(request, partial(_put, events, index), threads)
            index, event = events.get()
            if event is not None:
                running[index].last = event
                on_event(index, event)
                continue
            last = ended[index] = running.pop(index).end()
            if isinstance(last, Failed) and last.reason == "interrupted":
                raise InterruptedRunError(last.message)
            on_end(index, last)
    except BaseException:
        for process in running.values():
            process.stop()
        for process in running.values():
            process.end()
        raise
    return [ended[index] for index in range(len(requests))]


def _put(queue: Queue[tuple[int, Event | None]], index: int, event: Event | None) -> None:
    queue.put((index, event))


class _Process:
    """A running job, and a thread that forwards its events and then None."""

    def __init__(
        self, request: Request, on_event: Callable[[Event | None], None], threads: int | None
    ) -> None:
        self.last: Event = Ended()
        self.completed = False
        self.stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # closed by end
        limit = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "oraclezoo.jobs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            text=True,
            env={**os.environ, **limit},
        )
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(to_json(request))
            self.process.stdin.close()
        self.thread = Thread(target=self._listen, args=(on_event,), daemon=True)
        self.thread.start()

    def _listen(self, on_event: Callable[[Event | None], None]) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                document = json.loads(line)
                if document["event"] == END:
                    self.completed = True
                else:
                    on_event(event_from_json(document))
        finally:
            on_event(None)

    def stop(self) -> None:
        """Ask the job to save its state and end."""
        # harmless if the terminal has sent it already; Windows cannot send SIGINT to one process
        self.process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)

    def end(self) -> Event:
        """Wait for the end of the job; return its last event, or one that describes how it died."""
        status = self.process.wait()
        self.thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        with self.stderr:
            if not status and self.completed:
                return self.last
            self.stderr.seek(0)
            text = self.stderr.read()
        failed = self.last if isinstance(self.last, Failed) else _post_mortem(status, text)
        return dataclasses.replace(failed, stderr=text[-STDERR_KEPT:])


def _post_mortem(status: int, stderr: str) -> Failed:
    """Return the last event of a job that died without sending one."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    detail = f": {lines[-1].strip()}" if lines else ""
    if status < 0:
        name = signal.Signals(-status).name
        return Failed("killed", f"the job's process was killed by {name}{detail}")
    return Failed("error", f"the job's process ended early with status {status}{detail}")


def perform(document: Mapping[str, Any], channel: Channel) -> int:
    """Call the function of a request; if it fails, send :class:`Failed`.

    Args:
        document: The document of :func:`to_json`.
        channel: Channel that is passed to the function.

    Returns:
        The exit status of the job: 0, or the exit code of the error.

    Raises:
        InUseError: If another process uses a folder, and ``channel.waits_for_folders``.
    """
    try:
        function = attribute(document["action"])
        kind = typing.get_type_hints(function)["request"]
        function(decode(kind, document["request"]), channel)
    except InterruptedRunError as error:
        channel.send(Failed("interrupted", str(error)))
        return error.exit_code
    except OracleZooError as error:
        if isinstance(error, InUseError) and channel.waits_for_folders:
            raise
        channel.send(Failed(_REASONS.get(type(error), "error"), str(error)))
        return error.exit_code
    except MemoryError as error:
        text = str(error) or "the process ran out of memory"
        channel.send(Failed("out-of-memory", text))
        return 1
    except BaseException as error:  # a component may raise anything, even SystemExit
        import traceback

        traceback.print_exc()
        memory = "OutOfMemory" in type(error).__name__ or "can't allocate memory" in str(error)
        reason = "out-of-memory" if memory else "error"
        message = f"{type(error).__name__}: {error}"
        channel.send(Failed(reason, str(_named(error) or message)))
        return 1
    return 0


def main() -> int:
    """Read a request from standard input and run its function; return the exit status.

    Returns:
        0, or the exit code of the error.
    """
    channel = Channel()
    status = perform(json.load(sys.stdin), channel)
    if not status:
        channel.end()
    return status


def _named(error: BaseException) -> PluginError | None:
    """Return the error that names the plugin whose code raised ``error``, if it is one."""
    from oraclezoo.plugins.blame import blamed
    from oraclezoo.plugins.registry import build_registry

    return blamed(error, build_registry())
