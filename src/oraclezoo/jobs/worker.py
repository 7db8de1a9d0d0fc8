"""Worker of a task: run the request in a folder, at most one worker at a time.

``python -m oraclezoo.jobs FOLDER [SUBMISSION]`` ends immediately if the task is finished or if
another worker runs it. It may be started again at any time and on any machine that sees the folder.
From the second attempt on, the field ``resume`` of the request is true.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from oraclezoo.errors import InterruptedRunError, InUseError
from oraclezoo.jobs import Channel, perform
from oraclezoo.jobs.lease import Held, claim
from oraclezoo.jobs.messages import Ended, Event, Failed, event_to_json
from oraclezoo.jobs.task import LOG, TaskFolder
from oraclezoo.signals import STOPPING


class FileChannel(Channel):
    """Channel of a worker: events are appended to a file."""

    waits_for_folders = True

    def __init__(self, task: TaskFolder, held: Held) -> None:
        self.last: Event = Ended()
        """The last event that was sent."""
        self._held = held
        self._stopping = False
        self._parent = os.getppid()
        path = task.path / "events.jsonl"
        torn = _is_torn(path)
        self._events = path.open("a", buffering=1, encoding="utf-8")
        if torn:
            self._events.write("\n")
        for number in STOPPING:
            signal.signal(number, self._stop)

    def should_stop(self) -> bool:
        """Return True after a signal, if the parent process is gone, or if the lease is lost."""
        return self._held.lost or super().should_stop()

    def send(self, event: Event) -> None:
        """Append an event to the file.

        Args:
            event: The event.
        """
        self.last = event
        self._events.write(json.dumps(event_to_json(event)) + "\n")


def run_task(folder: str | Path, submission: str = "") -> int:
    """Run the task of a folder, unless it is finished or another worker runs it.

    Args:
        folder: The task's folder, with ``request.json``.
        submission: Name of the submission, which its attempts record.

    Returns:
        The exit status: 0, also if there is nothing to do, or that of the error.
    """
    task = TaskFolder(Path(folder).resolve())
    if task.end() is not None:
        return 0
    held = claim(task.path, submission)
    if held is None:
        sys.stderr.write(f"{task.path}: another worker runs this task\n")
        return 0
    with held:
        if task.end() is not None or task.give_up() is not None:
            return 0
        start = _log_to(task.path / LOG)
        channel = FileChannel(task, held)
        status = _perform(task, channel)
        last = channel.last
        if held.lost or (isinstance(last, Failed) and last.reason == "interrupted"):
            return status or 130
        if isinstance(last, Failed):
            last = replace(last, stderr=task.log_tail(start=start))
        task.finish(last)
    return status


def _perform(task: TaskFolder, channel: FileChannel) -> int:
    """Perform a request once no other process uses its folders, e.g. that of another campaign."""
    resume = len(task.attempts()) > 1
    while True:
        try:
            return perform(task.request(resume=resume), channel)
        except InUseError as error:
            sys.stderr.write(f"{error}\n")
            if channel.should_stop():
                channel.send(Failed("interrupted", str(error)))
                return InterruptedRunError.exit_code
            time.sleep(1.0)
            resume = True  # the other process may have finished the same run


def _is_torn(path: Path) -> bool:
    """Return whether the last line of a file is incomplete, because its writer was killed."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"
    except OSError:  # missing or empty
        return False


def _log_to(path: Path) -> int:
    """Append all output of this process to a file, and return the file's size before."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as log:
        start = log.tell()
        for number in (1, 2):
            with suppress(OSError):  # a scheduler may have closed it
                os.dup2(log.fileno(), number)
    return start
