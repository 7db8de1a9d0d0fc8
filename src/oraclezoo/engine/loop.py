"""Epoch loop of training, with checkpoints, interruption and isolated random state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from oraclezoo.engine.device import exact_float32
from oraclezoo.errors import InterruptedRunError

CHECKPOINT_EVERY_S = 15.0
"""Minimum time between two checkpoints; the state after the last epoch is always saved."""


class EpochLoop(Protocol):
    """A training job that :func:`run_epochs` drives: one run, or several stacked ones."""

    @property
    def done(self) -> bool:
        """Whether no epochs remain."""

    def train_epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Train the remaining steps of an epoch.

        Args:
            should_stop: Called after each step; if it returns True, the epoch ends early.

        Returns:
            Whether the epoch ended early.
        """

    def end_epoch(self) -> None:
        """Validate and report the epoch that was just trained."""

    def save(self) -> None:
        """Write a checkpoint."""

    def interruption(self) -> str:
        """Return the error message for a run that is stopped early."""


def run_epochs(loop: EpochLoop, should_stop: Callable[[], bool]) -> None:
    """Train until the loop is done, and write checkpoints regularly.

    Args:
        loop: The training job.
        should_stop: Called after each step; if it returns True, training stops.

    Raises:
        InterruptedRunError: If ``should_stop`` returned True; a checkpoint has been written.
    """
    saved_at, done = time.monotonic(), loop.done
    while not done:
        if loop.train_epoch(should_stop):
            loop.save()
            raise InterruptedRunError(loop.interruption())
        loop.end_epoch()
        done = loop.done
        if done or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
            loop.save()
            saved_at = time.monotonic()


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Compute in full float32 precision and restore the caller's random state afterwards.

    Args:
        device: Device of the computation.

    Yields:
        None.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), exact_float32():
        yield
