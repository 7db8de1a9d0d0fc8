"""A small job for trying out an executor: it succeeds, fails, dies or waits."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from oraclezoo.errors import InterruptedRunError, OracleZooError
from oraclezoo.jobs import Channel
from oraclezoo.jobs.lease import write_once

Behavior = Literal["succeed", "fail", "die-once", "die", "wait"]


@dataclass(frozen=True)
class Probe:
    """Request for a small job.

    Attributes:
        number: Number of the job, which it sends back.
        folder: Folder that the job writes.
        behavior: ``succeed``; ``fail`` with an error; ``die-once`` and ``die`` kill the process,
            the first time or each time; ``wait`` until it is asked to stop.
    """

    ACTION: ClassVar[str] = "oraclezoo.executors.probe:act"

    number: int
    folder: Path
    behavior: Behavior = "succeed"


@dataclass(frozen=True)
class Probed:
    """Last event of a small job: its number, and how often it has been started so far."""

    number: int
    starts: int


def act(request: Probe, channel: Channel) -> None:
    """Do what the request asks for, and record each start in its folder.

    Args:
        request: The request.
        channel: Channel for the event.

    Raises:
        OracleZooError: For ``fail``.
        InterruptedRunError: For ``wait``, when asked to stop.
    """
    request.folder.mkdir(parents=True, exist_ok=True)
    starts = 1
    while not write_once(request.folder / f"start-{starts}", str(os.getpid()).encode()):
        starts += 1
    if request.behavior == "fail":
        raise OracleZooError(f"job {request.number} fails on purpose")
    if request.behavior == "die" or (request.behavior == "die-once" and starts == 1):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    while request.behavior == "wait":
        if channel.should_stop():
            raise InterruptedRunError(f"job {request.number} was asked to stop")
        time.sleep(0.05)
    channel.send(Probed(request.number, starts))
