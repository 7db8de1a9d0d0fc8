"""Jobs: functions that run in separate processes, so that measurements do not interfere.

A job is started as ``python -m oraclezoo.jobs``. It reads one JSON document from standard input:
the function to call, as ``module:function``, and the fields of its request. It writes one JSON
event per line to standard output; everything else that a component prints goes to standard error.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import types
import typing
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, ClassVar, Protocol

from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OracleZooError,
    OutOfMemoryError,
    PluginError,
)
from oraclezoo.recipe import Recipe

Event = dict[str, Any]
"""An event of a job: ``event`` is its kind; the other fields depend on the kind."""

_REASONS: dict[type[OracleZooError], str] = {
    DivergedError: "diverged",
    OutOfMemoryError: "out-of-memory",
}

END = "end"
"""Event of a job whose function returned; without it the process ended early."""

STDERR_KEPT = 4000
"""Characters of a failed job's standard error that its last event carries."""


class Request(Protocol):
    """A frozen dataclass with the input of a job.

    Fields are JSON values, paths, recipes, tuples, mappings and other dataclasses.
    """

    ACTION: ClassVar[str]
    """The function that handles it, as ``module:function``; called with the request and a
    :class:`Channel`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Channel:
    """A job's connection to its parent process."""

    def __init__(self) -> None:
        self._events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        os.dup2(2, 1)  # stray prints must not disturb the events
        self._stopping = False
        self._parent = os.getppid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def should_stop(self) -> bool:
        """Return True after Ctrl-C, and if the parent process is gone.

        Returns:
            True if the job should save its state and end.
        """
        return self._stopping or os.getppid() != self._parent

    def send(self, event: str, **fields: Any) -> None:
        """Send an event; if the parent process no longer reads, the job saves its state and stops.

        Args:
            event: Kind of the event.
            fields: JSON values of the event.
        """
        try:
            self._events.write(json.dumps({"event": event, **fields}) + "\n")
        except BrokenPipeError:
            self._stopping = True

    def message(self, text: str) -> None:
        """Send a line of text for the user.

        Args:
            text: The line.
        """
        self.send("message", message=text)


def run_job(request: Request, on_event: Callable[[Event], None] = lambda event: None) -> Event:
    """Run one job in a separate process.

    Args:
        request: The request.
        on_event: Called with each event.

    Returns:
        The last event, which is ``failed`` if the job failed or its process died.

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
    at_once: int = 1,
    threads: int | None = None,
) -> list[Event]:
    """Run several jobs in separate processes.

    Args:
        requests: One request per job.
        on_event: Called with the index of a job and its event, in the calling thread.
        on_start: Called with the index of a job before it starts.
        on_end: Called with the index of a job and its last event.
        at_once: Number of jobs that run concurrently.
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
            while waiting and len(running) < at_once:
                index, request = waiting.popleft()
                on_start(index)
                running[index] = _Process(request, partial(_put, events, index), threads)
            index, event = events.get()
            if event is not None:
                running[index].last = event
                on_event(index, event)
                continue
            ended[index] = running.pop(index).end()
            if ended[index].get("reason") == "interrupted":
                raise InterruptedRunError(str(ended[index]["message"]))
            on_end(index, ended[index])
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
    """A running job and a thread that forwards its events, followed by None at its end."""

    def __init__(
        self, request: Request, on_event: Callable[[Event | None], None], threads: int | None
    ) -> None:
        self.last: Event = {"event": "done"}
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
                event = json.loads(line)
                if event["event"] == END:
                    self.completed = True
                else:
                    on_event(event)
        finally:
            on_event(None)

    def stop(self) -> None:
        """Ask the job to save its state and end."""
        # harmless if the terminal has sent it already; Windows cannot send it to others
        self.process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)

    def end(self) -> Event:
        """Wait for the end of the job; return its last event, or one that describes how it died."""
        status = self.process.wait()
        self.thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        with self.stderr:
            lost = not self.completed and self.last["event"] != "failed"  # it left by os._exit
            if (status or lost) and self.last.get("reason") != "interrupted":
                self.stderr.seek(0)
                text = self.stderr.read()
                if self.last["event"] != "failed":
                    self.last = {"event": "failed", **_post_mortem(status, text)}
                self.last["stderr"] = text[-STDERR_KEPT:]
        return self.last


def _post_mortem(status: int, stderr: str) -> dict[str, str]:
    """Return reason and message for a job that ended without a last event."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    detail = f": {lines[-1].strip()}" if lines else ""
    if status < 0:
        name = signal.Signals(-status).name
        return {"reason": "killed", "message": f"the job's process was killed by {name}{detail}"}
    return {
        "reason": "error",
        "message": f"the job's process ended early with status {status}{detail}",
    }


def to_json(request: Request) -> str:
    """Return a request as the JSON document that :func:`main` reads.

    Args:
        request: The request.

    Returns:
        The document.
    """
    return json.dumps({"action": request.ACTION, "request": _encoded(request)})


def _encoded(value: Any) -> Any:
    if isinstance(value, Recipe):
        return value.to_dict()
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _encoded(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: _encoded(item) for key, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, (tuple, list)) else value


def _decoded(kind: Any, value: Any) -> Any:
    """Return a JSON value as an instance of the annotated type ``kind``."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        classes = [each for each in arguments if each in (Path, Recipe)]
        return value if value is None or not classes else _decoded(classes[0], value)
    if kind is Recipe:
        return Recipe.from_dict(value)
    if kind is Path:
        return Path(value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _decoded(hints[name], item) for name, item in value.items()})  # type: ignore[operator]  # a class
    if origin is tuple:
        return tuple(_decoded(arguments[0], item) for item in value)
    return value


def main() -> int:
    """Read a request from standard input and run its function; return the exit status.

    Returns:
        0, or the exit code of the error.
    """
    channel = Channel()
    try:
        document = json.load(sys.stdin)
        module, name = document["action"].split(":")
        function = getattr(importlib.import_module(module), name)
        kind = typing.get_type_hints(function)["request"]
        function(_decoded(kind, document["request"]), channel)
        channel.send(END)
    except InterruptedRunError as error:
        channel.send("failed", reason="interrupted", message=str(error))
        return error.exit_code
    except OracleZooError as error:
        channel.send("failed", reason=_REASONS.get(type(error), "error"), message=str(error))
        return error.exit_code
    except MemoryError as error:
        text = str(error) or "the process ran out of memory"
        channel.send("failed", reason="out-of-memory", message=text)
        return 1
    except BaseException as error:  # a component may raise anything, SystemExit too
        import traceback

        traceback.print_exc()
        memory = "OutOfMemory" in type(error).__name__ or "can't allocate memory" in str(error)
        reason = "out-of-memory" if memory else "error"
        message = f"{type(error).__name__}: {error}"
        channel.send("failed", reason=reason, message=str(_named(error) or message))
        return 1
    return 0


def _named(error: BaseException) -> PluginError | None:
    """Return the error that names the plugin whose code raised ``error``, if it is one."""
    from oraclezoo.plugins.blame import blamed
    from oraclezoo.plugins.registry import build_registry

    return blamed(error, build_registry())


if __name__ == "__main__":
    sys.exit(main())
