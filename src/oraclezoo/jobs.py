"""Jobs: work in a process of its own, so that models do not distort each other.

A job is started as ``python -m oraclezoo.jobs`` with a JSON request on standard input. Its
``action`` names a function as ``module:function``, the rest are that function's keyword arguments.
It answers with one JSON event a line on standard output; anything else that a component prints goes
to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Queue
from threading import Thread
from typing import Any

from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OracleZooError,
    OutOfMemoryError,
)

Event = dict[str, Any]
"""What a job says: ``event`` is its kind, the other fields go with that."""

_REASONS: dict[type[OracleZooError], str] = {
    DivergedError: "diverged",
    OutOfMemoryError: "out-of-memory",
}

STDERR_KEPT = 4000
"""Characters of a failed job's standard error that its last event carries."""


def run_job(
    request: dict[str, Any], on_event: Callable[[Event], None] = lambda event: None
) -> Event:
    """Run one job to its end; its last event, or a ``failed`` one that says how it died.

    Raises InterruptedRunError when stopped by Ctrl-C, after the job has kept its state.
    """
    (last,) = run_jobs([request], lambda index, event: on_event(event))
    return last


def run_jobs(
    requests: Sequence[dict[str, Any]],
    on_event: Callable[[int, Event], None] = lambda index, event: None,
    *,
    on_start: Callable[[int], None] = lambda index: None,
    on_end: Callable[[int, Event], None] = lambda index, event: None,
    at_once: int = 1,
    threads: int | None = None,
) -> list[Event]:
    """Run jobs, ``at_once`` at a time; the last event of each, as of :func:`run_job`.

    All that is called gets the number of the job, and is called here, not in a thread of its own;
    ``on_end`` with the job's last event. ``threads`` is how many CPU threads torch takes in each,
    by default what it takes anyway. Raises InterruptedRunError when stopped by Ctrl-C, after all
    have kept their state.
    """
    ended: dict[int, Event] = {}
    told: Queue[tuple[int, Event | None]] = Queue()
    waiting, running = deque(enumerate(requests)), dict[int, _Process]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                index, request = waiting.popleft()
                on_start(index)
                running[index] = _Process(request, partial(_put, told, index), threads)
            index, event = told.get()
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
    """A job that runs, and a thread that hands on its events; the last of them is None."""

    def __init__(
        self,
        request: dict[str, Any],
        hand_on: Callable[[Event | None], None],
        threads: int | None,
    ) -> None:
        self.last: Event = {"event": "done"}
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
            self.process.stdin.write(json.dumps(request))
            self.process.stdin.close()
        self.thread = Thread(target=self._listen, args=(hand_on,), daemon=True)
        self.thread.start()

    def _listen(self, hand_on: Callable[[Event | None], None]) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                hand_on(json.loads(line))
        finally:
            hand_on(None)

    def stop(self) -> None:
        """Ask it to keep its state and end."""
        # a second time if the terminal did it already; Windows has no SIGINT for others
        self.process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)

    def end(self) -> Event:
        """Wait for its end; its last event, or one that says how it died."""
        status = self.process.wait()
        self.thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        with self.stderr:
            if status and self.last.get("reason") != "interrupted":
                self.stderr.seek(0)
                text = self.stderr.read()
                if self.last["event"] != "failed":
                    self.last = {"event": "failed", **_post_mortem(status, text)}
                self.last["stderr"] = text[-STDERR_KEPT:]
        return self.last


def _post_mortem(status: int, stderr: str) -> dict[str, str]:
    """Reason and message for a job that ended without a word of its own."""
    tail = [line for line in stderr.splitlines() if line.strip()][-1:]
    said = f": {tail[0].strip()}" if tail else ""
    if status < 0:
        name = signal.Signals(-status).name
        return {"reason": "killed", "message": f"the job's process was killed by {name}{said}"}
    return {"reason": "error", "message": f"the job's process ended with status {status}{said}"}


def main() -> int:
    """Read a request, do it, report it; the exit status says how it ended."""
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # stray prints must not disturb the events
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopping.append(number))
    parent = os.getppid()

    def should_stop() -> bool:
        return bool(stopping) or os.getppid() != parent  # a killed benchmark leaves no orphans

    def tell(event: str, **fields: Any) -> None:
        try:
            channel.write(json.dumps({"event": event, **fields}) + "\n")
        except BrokenPipeError:  # nobody listens any more: stop, and keep the state
            stopping.append(0)

    try:
        request = json.load(sys.stdin)
        module, function = request.pop("action").split(":")
        getattr(importlib.import_module(module), function)(tell, should_stop, **request)
    except InterruptedRunError as error:
        tell("failed", reason="interrupted", message=str(error))
        return error.exit_code
    except OracleZooError as error:
        tell("failed", reason=_REASONS.get(type(error), "error"), message=str(error))
        return error.exit_code
    except MemoryError as error:
        tell(
            "failed", reason="out-of-memory", message=str(error) or "the process ran out of memory"
        )
        return 1
    except Exception as error:
        import traceback

        traceback.print_exc()
        memory = "OutOfMemory" in type(error).__name__ or "can't allocate memory" in str(error)
        reason = "out-of-memory" if memory else "error"
        tell("failed", reason=reason, message=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
