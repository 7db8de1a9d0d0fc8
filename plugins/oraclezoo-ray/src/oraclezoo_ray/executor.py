"""The executor ``ray``: tasks of a Ray cluster."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from oraclezoo.contracts import Job, JobState
from oraclezoo.errors import OracleZooError, ResultError, UsageError
from oraclezoo.executors.transport import pack, unpack
from oraclezoo.jobs.messages import Failed
from oraclezoo.jobs.task import TaskFolder
from oraclezoo_ray.task import Archive, Board, run_shared, run_shipped

STORE_BYTES = 100_000_000
"""Object store of a cluster that is started here: its tasks exchange no files."""

ANSWER_S = 60.0
"""Maximum time in seconds for an answer of the board."""

CLOSING_S = 300.0
"""Maximum time in seconds in which interrupted tasks save their state."""


@dataclass
class _Submitted:
    """A task that has not ended yet."""

    job: Job
    reference: Any


class Ray:
    """Implements oraclezoo.contracts.Executor. Tasks end with the process that submitted them.

    Args:
        folder: Folder of the executor; not used.
        address: Address of a cluster; None to start one on this machine, unless Ray is already
            initialized in this process.
        workers: CPUs of a cluster that is started here; None for all.
        cpus: CPUs that a task reserves.
        gpus: GPUs that a task reserves.
        memory_gb: Memory that a task reserves.
        retries: Number of times that Ray restarts a task whose node or worker died.
        shared: Whether the nodes see the folders of this machine.
        ship_mb: Maximum size of the files of a task, in megabytes, if they do not.

    Raises:
        UsageError: Options contradict each other.
        OracleZooError: The cluster does not answer.
    """

    exclusive: Literal[False] = False
    outlives: Literal[False] = False
    poll_s = 0.5

    def __init__(
        self,
        *,
        folder: Path,
        address: str | None,
        workers: int | None,
        cpus: float,
        gpus: float,
        memory_gb: float,
        retries: int,
        shared: bool,
        ship_mb: int,
    ) -> None:
        if address is not None and workers is not None:
            raise UsageError(
                "executor.workers is for a cluster that is started here, not for one at an address"
            )
        self.shared_folder, self.ship_mb = shared, ship_mb
        self._ray = ray = _import(address)
        self._started = not ray.is_initialized()
        if self._started:
            self._connect(address, workers)
        resources = {"num_cpus": cpus, "num_gpus": gpus, "memory": int(memory_gb * (1 << 30))}
        self._options = {**resources, "max_retries": retries, "scheduling_strategy": "SPREAD"}
        # on this node, which is the last that the campaign loses; another one takes its place
        strategies = ray.util.scheduling_strategies
        here = ray.get_runtime_context().get_node_id()
        self._board = (
            ray.remote(Board)
            .options(
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(here, soft=True),
            )
            .remote()
        )
        self._prefix = secrets.token_hex(4)
        self._number = 0
        self._submitted: dict[str, _Submitted] = {}
        self._ended: set[str] = set()
        self._cancelled: set[str] = set()

    def _connect(self, address: str | None, workers: int | None) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            options |= {
                "address": "local",
                "num_cpus": workers,
                "object_store_memory": STORE_BYTES,
                "include_dashboard": False,
            }
        else:
            options["address"] = address
        try:
            with _signal_handlers():
                self._ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = f"at {address}" if address else "on this machine"
            raise OracleZooError(f"no Ray cluster {where}: {_first_line(error)}") from error

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs as Ray tasks.

        Args:
            jobs: The jobs.

        Returns:
            One handle for each job.
        """
        return [self._submit(job) for job in jobs]

    def _submit(self, job: Job) -> str:
        self._number += 1
        handle = f"{self._prefix}-{self._number}"
        options = {**self._options, "name": job.label}
        if self.shared_folder:
            function = self._ray.remote(run_shared).options(**options)
            reference = function.remote(self._board, handle, job.command, str(job.folder))
        else:
            try:
                archive = Archive.of(pack(job), self.ship_mb, job.label)
            except (OSError, ValueError) as error:
                self._fail(job, str(error))
                self._ended.add(handle)
                return handle
            function = self._ray.remote(run_shipped).options(**options)
            reference = function.remote(self._board, handle, archive, self.ship_mb, job.label)
        self._submitted[handle] = _Submitted(job, reference)
        return handle

    def states(self, handles: Sequence[str]) -> Mapping[str, JobState]:
        """Return the states of jobs, after the results of those that have ended have arrived.

        Args:
            handles: Handles of this executor.

        Returns:
            The states; those of another process cannot run any more.

        Raises:
            OracleZooError: The cluster does not answer.
        """
        self._receive()
        open_handles = [handle for handle in handles if handle in self._submitted]
        started = self._ask("started", open_handles) if open_handles else set()
        states: dict[str, JobState] = {}
        for handle in handles:
            if handle in self._submitted:
                states[handle] = "running" if handle in started else "waiting"
            else:
                states[handle] = "ended" if handle in self._ended else "unknown"
        return states

    def cancel(self, handles: Sequence[str]) -> None:
        """Ask tasks to save their state and end, and remove queued ones.

        Args:
            handles: Handles of this executor.

        Raises:
            OracleZooError: The cluster does not answer.
        """
        wanted = [handle for handle in handles if handle in self._submitted]
        if not wanted:
            return
        self._cancelled.update(wanted)
        self._ask("cancel", wanted)
        started = self._ask("started", wanted)
        for handle in wanted:
            if handle not in started:
                self._ray.cancel(self._submitted[handle].reference, force=False)

    def close(self) -> None:
        """Interrupt all tasks, receive the state that they save, and disconnect."""
        with suppress(OracleZooError):
            self.cancel(list(self._submitted))
            until = time.monotonic() + CLOSING_S
            while self._submitted and time.monotonic() < until:
                self._receive()
                time.sleep(0.1)
        if self._started:
            self._ray.shutdown()

    def _ask(self, method: str, handles: Sequence[str]) -> Any:
        """Call a method of the board."""
        try:
            if self._cancelled:  # a board that was restarted has forgotten them
                self._board.cancel.remote(self._cancelled)
            return self._ray.get(getattr(self._board, method).remote(handles), timeout=ANSWER_S)
        except (self._ray.exceptions.RayError, ConnectionError, TimeoutError) as error:
            raise OracleZooError(
                f"the Ray cluster does not answer: {_first_line(error)}"
            ) from error

    def _receive(self) -> None:
        """Receive what tasks that have ended return."""
        waiting = {each.reference: handle for handle, each in self._submitted.items()}
        if not waiting:
            return
        ready, _ = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        for reference in ready:
            handle = waiting[reference]
            job = self._submitted[handle].job
            try:
                archive = self._ray.get(reference)
                if archive is not None:
                    unpack(job, archive.verified())
            except self._ray.exceptions.TaskCancelledError:
                pass
            except self._ray.exceptions.RayTaskError as error:
                # raised by this package or on import: another attempt ends in the same way
                self._fail(job, f"{type(error.cause).__name__}: {error.cause}")
            except (self._ray.exceptions.RayError, ResultError, ValueError) as error:
                _log(job, f"lost: {_first_line(error)}")
            except OSError as error:
                raise OracleZooError(
                    f"the results of {job.label} cannot be written: {error}"
                ) from error
            self._ended.add(handle)
            self._cancelled.discard(handle)
            del self._submitted[handle]

    def _fail(self, job: Job, message: str) -> None:
        """Record that a task failed for good."""
        TaskFolder(job.folder).finish(Failed("error", message))


def _import(address: str | None) -> Any:
    """Import Ray with the settings that it reads on import, unless the user has set them."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise, it sends usage reports
    if address is None and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        # Ray listens on all interfaces, and executes what anybody sends
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray
    import ray.util.scheduling_strategies

    return ray


@contextmanager
def _signal_handlers() -> Iterator[None]:
    """Restore the handlers of signals, which ``ray.init`` replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            with suppress(ValueError):  # not in the main thread
                signal.signal(number, handler)


def _log(job: Job, text: str) -> None:
    with suppress(OSError), (job.folder / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"{text}\n")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
