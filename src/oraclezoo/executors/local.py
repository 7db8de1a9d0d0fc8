"""The executor ``local``: processes of this machine."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from oraclezoo.contracts import Job, JobState
from oraclezoo.jobs.task import LOG


class Local:
    """Run jobs as child processes; they save their state and stop if this process dies.

    Args:
        folder: Folder of the executor; not used.
        workers: Number of jobs that run at the same time. With one, times may be measured.
        threads: CPU threads per job; by default the cores divided by the workers, and the default
            of the libraries for one worker.
    """

    shared_folder: Literal[True] = True
    outlives: Literal[False] = False
    poll_s = 0.1

    def __init__(self, *, folder: Path, workers: int = 1, threads: int | None = None) -> None:
        self.workers = workers
        if threads is None and workers > 1:
            threads = max(1, _cores() // workers)
        self.environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        self._waiting: deque[tuple[str, Job]] = deque()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._number, self._token = 0, secrets.token_hex(4)

    @property
    def exclusive(self) -> bool:
        """Whether jobs run one after another."""
        return self.workers == 1

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Queue jobs, and start as many as there are free workers."""
        handles = []
        for job in jobs:
            self._number += 1
            handles.append(f"{self._token}-{self._number}")
            self._waiting.append((handles[-1], job))
        self._advance()
        return handles

    def states(self, handles: Sequence[str]) -> Mapping[str, JobState]:
        """Return the states of jobs; those of another process are gone, or stop soon."""
        self._advance()
        waiting = {handle for handle, _ in self._waiting}
        return {
            handle: "running"
            if handle in self._running
            else "waiting"
            if handle in waiting
            else "ended"
            for handle in handles
        }

    def cancel(self, handles: Sequence[str]) -> None:
        """Interrupt running jobs and forget queued ones."""
        wanted = set(handles)
        self._waiting = deque(item for item in self._waiting if item[0] not in wanted)
        for handle in wanted & self._running.keys():
            # SIGINT may be ignored while the process starts, e.g. in the background of a shell
            self._running[handle].terminate()

    def close(self) -> None:
        """Interrupt all jobs and wait for their end."""
        self.cancel([*self._running, *(handle for handle, _ in self._waiting)])
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def _advance(self) -> None:
        """Forget processes that have ended, and start queued jobs."""
        for handle, process in list(self._running.items()):
            if process.poll() is not None:
                del self._running[handle]
        while self._waiting and len(self._running) < self.workers:
            handle, job = self._waiting.popleft()
            with (job.folder / LOG).open("ab") as log:
                self._running[handle] = subprocess.Popen(
                    job.command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env={**os.environ, **self.environment},
                )


def _cores() -> int:
    """Return the number of CPU cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
