"""Functions and the actor that run on the nodes of a Ray cluster."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

POLL_S = 1.0
"""Pause in seconds between two questions of a task to the board."""

MIB = 1 << 20


class Board:
    """Actor that knows which tasks have started, and which should stop."""

    def __init__(self) -> None:
        self._started: set[str] = set()
        self._cancelled: set[str] = set()

    def should_stop(self, handle: str) -> bool:
        """Note that a task is running; return whether it should stop."""
        self._started.add(handle)
        return handle in self._cancelled

    def cancel(self, handles: Collection[str]) -> None:
        """Ask tasks to stop."""
        self._cancelled.update(handles)

    def started(self, handles: Collection[str]) -> set[str]:
        """Return those of the tasks that have started."""
        return self._started.intersection(handles)


@dataclass(frozen=True)
class Archive:
    """An archive with its digest.

    Attributes:
        content: The archive.
        sha256: Digest of the content where the archive was made.
    """

    content: bytes
    sha256: str

    @classmethod
    def of(cls, content: bytes, limit_mb: int, label: str) -> Archive:
        """Return an archive with its digest.

        Args:
            content: The archive.
            limit_mb: Maximum size in megabytes.
            label: Name of the task, for the message.

        Raises:
            ValueError: It is too large.
        """
        size_mb = -(-len(content) // MIB)
        if size_mb > limit_mb:
            raise ValueError(
                f"the files of {label} have {size_mb} MB, above the limit of {limit_mb} MB: use a "
                f"shared folder, or pass --executor-option ship_mb={size_mb}"
            )
        return cls(content, hashlib.sha256(content).hexdigest())

    def verified(self) -> bytes:
        """Return the content.

        Raises:
            ValueError: It differs from what was sent.
        """
        actual = hashlib.sha256(self.content).hexdigest()
        if actual != self.sha256:
            raise ValueError(f"an archive has the digest {actual[:12]}, not {self.sha256[:12]}")
        return self.content


def run_shared(board: Any, handle: str, command: tuple[str, ...], folder: str) -> None:
    """Run a task in its folder, which this node sees too.

    Args:
        board: The actor.
        handle: Handle of the task.
        command: Command that runs the task; the node's own Python takes the place of the first
            word.
        folder: The task's folder.

    Raises:
        FileNotFoundError: This node does not see the folder.
    """
    if not (Path(folder) / "request.json").is_file():
        raise FileNotFoundError(
            f"node {_node()} does not see {folder}: use a folder that all nodes share, or pass "
            "--executor-option shared=false"
        )

    def work(should_stop: Callable[[], bool]) -> None:
        process = subprocess.Popen(
            [sys.executable, *command[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        stopping = False
        while process.poll() is None:
            if not stopping and should_stop():
                stopping = True
                process.send_signal(signal.SIGTERM)
            time.sleep(0.1)

    _attended(board, handle, work)


def run_shipped(board: Any, handle: str, archive: Archive, limit_mb: int, label: str) -> Archive:
    """Run a packed task in a temporary folder of this node.

    Args:
        board: The actor.
        handle: Handle of the task.
        archive: The packed task.
        limit_mb: Maximum size of the result in megabytes.
        label: Name of the task.

    Returns:
        The packed result, also of a task that failed or was interrupted.

    Raises:
        ValueError: The archive arrived damaged, or the result is too large.
    """
    from oraclezoo.executors.transport import run_packed

    content = archive.verified()
    results: list[bytes] = []

    def work(should_stop: Callable[[], bool]) -> None:
        results.append(run_packed(content, should_stop))

    _attended(board, handle, work)
    return Archive.of(results[0], limit_mb, label)


def _attended(board: Any, handle: str, work: Callable[[Callable[[], bool]], None]) -> None:
    """Run ``work`` with a function that tells it when to stop.

    It runs in a thread, because Ray cancels a task by raising KeyboardInterrupt in the main thread.
    """
    stop, done, failures = Event(), Event(), list[BaseException]()

    def run() -> None:
        try:
            work(stop.is_set)
        except BaseException as error:
            failures.append(error)

    # a main thread that waits for Ray gives its CPU to another task; other threads do not
    asking = Thread(target=_ask_regularly, args=(board, handle, stop, done), daemon=True)
    thread = Thread(target=run)
    asking.start()
    thread.start()
    while thread.is_alive():
        try:
            thread.join(0.1)
        except KeyboardInterrupt:
            stop.set()
    done.set()
    if failures:
        raise failures[0]


def _ask_regularly(board: Any, handle: str, stop: Event, done: Event) -> None:
    """Set ``stop`` once the task is cancelled; a board that does not answer is asked again."""
    import ray

    while True:
        try:
            if ray.get(board.should_stop.remote(handle), timeout=30):
                stop.set()
        except (ray.exceptions.RayError, TimeoutError):
            pass  # the board is restarted on another node
        if done.wait(POLL_S):
            return


def _node() -> str:
    import ray

    return str(ray.util.get_node_ip_address())
