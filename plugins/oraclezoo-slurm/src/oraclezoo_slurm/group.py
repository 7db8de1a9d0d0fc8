"""Group of tasks: the function that a Slurm job runs, through submitit.

The job runs the tasks one after another, each in a separate process. Marker files in the group's
folder tell the submitting machine which of them have ended, and tell the job which of them were
cancelled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from submitit.core.utils import DelayedSubmission

POLL_S = 0.2
"""Pause in seconds between two looks at the running process and at its cancellation."""


@dataclass(frozen=True)
class Markers:
    """Marker files of a group, in a folder that the nodes and the submitting machine share."""

    folder: Path

    def create(self, count: int) -> None:
        """Create the folder for a number of tasks."""
        self.folder.mkdir(parents=True)
        (self.folder / "count").write_text(str(count))

    def unfinished(self) -> list[int]:
        """Return the positions of the tasks that have neither ended nor been cancelled."""
        count = int((self.folder / "count").read_text())
        return [i for i in range(count) if not (self.is_ended(i) or self.is_cancelled(i))]

    def is_ended(self, index: int) -> bool:
        """Return whether the process of a task is gone, and does not start again."""
        return (self.folder / f"{index}.ended").exists()

    def is_cancelled(self, index: int) -> bool:
        """Return whether a task must not start, or must stop."""
        return (self.folder / f"{index}.cancelled").exists()

    def end(self, index: int) -> None:
        """Record that the process of a task is gone."""
        self._set(index, "ended")

    def cancel(self, index: int) -> None:
        """Ask for the end of a task."""
        self._set(index, "cancelled")

    def _set(self, index: int, name: str) -> None:
        (self.folder / f"{index}.{name}").touch()


class Group:
    """Commands that a Slurm job runs in sequence.

    submitit calls it on the node, and calls :meth:`checkpoint` at the signal before the time limit.
    A requeued job continues with the tasks that have not ended.

    Args:
        commands: Command of each task.
        folder: Folder for the group's markers.
    """

    def __init__(self, commands: tuple[tuple[str, ...], ...], folder: str) -> None:
        self.commands, self.folder = commands, folder
        self._pid: int | None = None
        self._stopping = False

    def __call__(self) -> None:
        """Run the tasks that have neither ended nor been cancelled."""
        markers = Markers(Path(self.folder))
        # Slurm sends SIGTERM before it kills a job: scancel, preemption, a node that shuts down
        signal.signal(signal.SIGTERM, self._stop)
        for index, command in enumerate(self.commands):
            if self._stopping:
                return
            if markers.is_ended(index):
                continue
            if not markers.is_cancelled(index):
                self._run(index, command, markers)
            if not self._stopping or markers.is_cancelled(index):
                markers.end(index)

    def checkpoint(self) -> DelayedSubmission:
        """Let the running task save its state, and return what the requeued job runs.

        Returns:
            The same group.
        """
        self._stop()
        while self._is_running():
            time.sleep(POLL_S)
        return DelayedSubmission(Group(self.commands, self.folder))

    def _run(self, index: int, command: tuple[str, ...], markers: Markers) -> None:
        cores = os.environ.get("SLURM_CPUS_PER_TASK", "1")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={"OMP_NUM_THREADS": cores, **os.environ},
            preexec_fn=_ignore_user_signals,
        )
        self._pid = process.pid
        if self._stopping:  # the signal came before the process
            self._stop()
        cancelled = False
        while self._is_running():
            if not cancelled and markers.is_cancelled(index):
                cancelled = True
                os.kill(process.pid, signal.SIGTERM)
            time.sleep(POLL_S)
        process.wait()

    def _is_running(self) -> bool:
        """Return whether the current process is running, without reaping it.

        ``Popen.wait`` holds a lock, and :meth:`checkpoint` runs in a signal handler.
        """
        if self._pid is None:
            return False
        try:
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._pid, options) is None
        except ChildProcessError:
            return False

    def _stop(self, number: int = 0, frame: object = None) -> None:
        """Ask the running task to save its state, and start no other."""
        self._stopping = True
        if self._pid is not None and self._is_running():
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)


def _ignore_user_signals() -> None:
    """Ignore the signal before the time limit, which Slurm sends to all processes of a job."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
