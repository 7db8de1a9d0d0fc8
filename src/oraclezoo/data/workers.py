"""Pool of worker processes, which never outlive the main process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait as wait_for
from typing import Any, TypeVar

from oraclezoo.errors import DataError

T = TypeVar("T")
R = TypeVar("R")


def spread(
    function: Callable[[T], R], tasks: Iterable[T], jobs: int, stop: Callable[[], bool]
) -> Iterator[R]:
    """Apply a function to tasks in several processes.

    With one job, the function runs in the calling process.

    Args:
        function: Picklable function of one task.
        tasks: The tasks; each is taken only when a worker is free.
        jobs: Number of processes.
        stop: Called before each task; once it returns True, no further tasks are started.

    Yields:
        The results, in order of completion.

    Raises:
        DataError: If a worker process dies.
    """
    if jobs == 1:
        for task in tasks:
            if stop():
                return
            yield function(task)
        return
    with _pool(jobs) as pool:
        running: set[Future[R]] = set()
        waiting = iter(tasks)
        try:
            while True:
                slots = 0 if stop() else 2 * jobs - len(running)
                for task in islice(waiting, slots):
                    running.add(pool.submit(function, task))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "a worker process died, possibly out of memory; finished work is kept\n"
                "Run the same command again with a smaller --jobs."
            ) from error


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    # the same method on every system, and safe with threads
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin)
    try:
        with _sigint_ignored():  # inherited by the workers when they start
            for _ in range(jobs):
                pool.submit(os.getpid)
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _sigint_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # cannot set handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin() -> None:
    """Initialize a worker process: ignore Ctrl-C, and exit when the parent process exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(
        target=_end_with, args=(multiprocessing.parent_process(),), daemon=True
    ).start()


def _end_with(parent: Any) -> None:
    wait_for([parent.sentinel])
    os._exit(1)
