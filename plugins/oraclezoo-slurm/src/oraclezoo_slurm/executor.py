"""The executor ``slurm``: job arrays, submitted with submitit and watched with squeue."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal, TypeVar

import submitit

from oraclezoo.contracts import Job, JobState
from oraclezoo.errors import OracleZooError, UsageError
from oraclezoo_slurm.group import Group, Markers

ARRAY = 1000
"""Maximum number of Slurm jobs per array: the default of a cluster's ``MaxArraySize`` less one."""

ANSWER_S = 120
"""Maximum time in seconds for an answer of the Slurm controller."""

QUEUED = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "SUSPENDED")
"""States of a Slurm job that waits; all others that squeue lists by default are running."""


Item = TypeVar("Item")


@dataclass(frozen=True)
class Handle:
    """One task of a submitted group.

    Attributes:
        slurm_job: Identifier of the Slurm job, e.g. ``17`` or ``17_3``.
        group: Name of the group's marker folder.
        index: Position of the task in the group.
    """

    slurm_job: str
    group: str
    index: int

    def __str__(self) -> str:
        return f"{self.slurm_job}/{self.group}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> Handle:
        """Return the handle with this text.

        Args:
            text: A handle as text.

        Raises:
            UsageError: It is not a handle of this executor.
        """
        slurm_job, _, rest = text.partition("/")
        group, _, index = rest.partition("/")
        if not (group and index.isdecimal()):
            raise UsageError(f"'{text}' is not a job of the executor 'slurm'")
        return cls(slurm_job, group, int(index))


class Slurm:
    """Implements oraclezoo.contracts.Executor. It needs no accounting (``sacct``).

    Args:
        folder: Folder for scripts, logs and markers, which all nodes see under the same path.
        partition: Partition; None for the cluster's default.
        account: Account to charge; None for the user's default.
        time: Time limit of a Slurm job in minutes.
        cpus: Cores per Slurm job.
        gpus: GPUs per Slurm job.
        memory: Memory per Slurm job, e.g. ``"8GB"``; None for the cluster's default.
        exclusive: Whether a Slurm job takes whole nodes; times may then be measured.
        group: Number of tasks that one Slurm job runs in sequence.
        parallel: Maximum number of Slurm jobs of an array that run at the same time.
        signal_s: Seconds before the time limit at which a job saves its state and is requeued.
        timeouts: Number of requeues of a Slurm job after time limits.
        setup: Shell command that runs before each Slurm job.
        sbatch: Further flags of ``sbatch``, as on its command line.
        poll: Seconds between two calls of ``squeue``.

    Raises:
        UsageError: Slurm's commands are not installed, or an option is invalid.
    """

    shared_folder: Literal[True] = True
    outlives: Literal[True] = True

    def __init__(
        self,
        *,
        folder: Path,
        partition: str | None,
        account: str | None,
        time: int,
        cpus: int,
        gpus: int,
        memory: str | None,
        exclusive: bool,
        group: int,
        parallel: int,
        signal_s: int,
        timeouts: int,
        setup: str | None,
        sbatch: str | None,
        poll: float,
    ) -> None:
        for program in ("sbatch", "srun", "squeue", "scancel"):
            if shutil.which(program) is None:
                raise UsageError(
                    f"executor 'slurm' needs the command {program}: run this on a login node"
                )
        if signal_s >= 60 * time:
            raise UsageError(
                f"executor.signal_s is {signal_s}; it must be below the time limit of {60 * time} s"
            )
        self.folder, self.exclusive, self.poll_s = folder.resolve(), exclusive, poll
        self.group = group
        # flags of the user win over those of submitit, and over requeue
        extra = {"requeue": True, **flags(sbatch or "")}
        optional = {
            "partition": partition,
            "account": account,
            "mem": memory,
            "gpus_per_node": gpus or None,
            "exclusive": exclusive or None,
            "setup": None if setup is None else [setup],
        }
        self._executor = submitit.SlurmExecutor(self.folder / "slurm", max_num_timeout=timeouts)
        self._executor.update_parameters(
            job_name="oraclezoo",
            time=time,
            cpus_per_task=cpus,
            signal_delay_s=signal_s,
            array_parallelism=parallel,
            additional_parameters=extra,
            srun_args=[f"--cpus-per-task={cpus}"],  # since 22.05, srun does not inherit it
            **{name: value for name, value in optional.items() if value is not None},
        )

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs as arrays of groups.

        Args:
            jobs: The jobs.

        Returns:
            One handle for each job.

        Raises:
            OracleZooError: ``sbatch`` refused them.
        """
        handles: list[str] = []
        groups = _chunks(jobs, self.group)
        for array in _chunks(groups, ARRAY):
            names = [secrets.token_hex(6) for _ in array]
            parts = []
            for name, part in zip(names, array, strict=True):
                markers = self._markers(name)
                markers.create(len(part))
                parts.append(Group(tuple(job.command for job in part), str(markers.folder)))
            try:
                # the message of sbatch goes into the exception, not to the terminal
                with redirect_stderr(StringIO()), self._executor.batch():
                    submitted = [self._executor.submit(part) for part in parts]
            except (RuntimeError, OSError) as error:
                raise OracleZooError(f"sbatch failed: {_last_line(error)}") from error
            for name, part, slurm_job in zip(names, array, submitted, strict=True):
                handles += [
                    str(Handle(slurm_job.job_id, name, index)) for index in range(len(part))
                ]
        return handles

    def states(self, handles: Sequence[str]) -> Mapping[str, JobState]:
        """Return the state of each job, from one call of ``squeue``.

        Args:
            handles: Handles of this executor, also from an earlier process.

        Returns:
            The states.

        Raises:
            OracleZooError: The Slurm controller does not answer.
        """
        queue = self._queue()
        return {text: self._state(Handle.parse(text), queue) for text in handles}

    def _state(self, handle: Handle, queue: Mapping[str, str]) -> JobState:
        markers = self._markers(handle.group)
        state = queue.get(handle.slurm_job)
        if state is None or markers.is_ended(handle.index):
            return "ended"
        before = all(markers.is_ended(index) for index in range(handle.index))
        return "running" if before and state not in QUEUED else "waiting"

    def cancel(self, handles: Sequence[str]) -> None:
        """Ask jobs to save their state and end, and remove queued ones.

        A Slurm job ends if all its unfinished tasks are cancelled; otherwise, it continues with the
        others.

        Args:
            handles: Handles of this executor.

        Raises:
            OracleZooError: The Slurm controller does not answer.
        """
        groups: dict[str, str] = {}
        for handle in map(Handle.parse, handles):
            self._markers(handle.group).cancel(handle.index)
            groups[handle.group] = handle.slurm_job
        queue = self._queue() if groups else {}
        for group, slurm_job in groups.items():
            # a running one sees the markers, and ends if it has no other tasks
            if queue.get(slurm_job) in QUEUED and not self._markers(group).unfinished():
                self._call("scancel", slurm_job, gone=True)

    def close(self) -> None:
        """Do nothing: the jobs run on."""

    def _markers(self, group: str) -> Markers:
        return Markers(self.folder / "groups" / group)

    def _queue(self) -> dict[str, str]:
        """Return the states of all Slurm jobs of this user that are queued or running."""
        arguments = ("-h", "-r", "-u", str(os.getuid()), "-o", "%i %T")
        lines = self._call("squeue", *arguments).splitlines()
        return dict(line.split() for line in lines if len(line.split()) == 2)

    def _call(self, *command: str, gone: bool = False) -> str:
        """Return the output of a Slurm command; with ``gone``, accept that a job is gone."""
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S)
        except (subprocess.TimeoutExpired, OSError) as error:
            raise OracleZooError(f"{command[0]} failed: {error}") from error
        if done.returncode and not (gone and "Invalid job id" in done.stderr):
            raise OracleZooError(f"{command[0]} failed: {_last_line(done.stderr)}")
        return done.stdout


def flags(text: str) -> dict[str, str | bool]:
    """Return flags of ``sbatch`` as parameters.

    Args:
        text: Long flags as on the command line, e.g. ``"--qos=low --nice=100"``.

    Returns:
        The value of each flag by name; True for a flag without a value.

    Raises:
        UsageError: The text has anything but long flags, or a flag that the executor sets.

    Example:
        >>> flags("--qos=low --spread-job")
        {'qos': 'low', 'spread-job': True}
    """
    parameters: dict[str, str | bool] = {}
    for word in shlex.split(text):
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise UsageError(f"executor.sbatch has '{word}'; write long flags, e.g. --qos=low")
        if name in ("array", "output", "error", "open-mode", "signal", "ntasks", "nodes"):
            raise UsageError(f"executor.sbatch has --{name}, which the executor sets itself")
        parameters[name] = value if equals else True
    return parameters


def _chunks(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _last_line(text: object) -> str:
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
