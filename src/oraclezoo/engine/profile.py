"""Training profiler: trace of a few steps, slowest operations, and time per phase of a step."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

from oraclezoo.engine.device import synchronize
from oraclezoo.engine.flops import DTYPES, matrix_flops_per_s, pass_flops
from oraclezoo.engine.trace import device_ms
from oraclezoo.errors import UsageError

SCHEMA = "oraclezoo/profile/1"
PHASES = ("augment", "forward", "backward", "optimizer")
PREFIX = "oraclezoo::"
WARMUP_STEPS, STEPS, TOP = 5, 20, 15

_NOTHING = nullcontext()


class Unwatched:
    """A profiler that does nothing."""

    def span(self, phase: str) -> AbstractContextManager[object]:
        """Return a context that encloses the work of a phase.

        Args:
            phase: One of :data:`PHASES`.

        Returns:
            A context manager.
        """
        return _NOTHING

    def epoch(self, step: int) -> AbstractContextManager[object]:
        """Return a context that encloses the steps of an epoch.

        Args:
            step: Number of the epoch's first step.

        Returns:
            A context manager.
        """
        return _NOTHING

    def step(self) -> None:
        """Record the end of a step."""


@dataclass(frozen=True)
class Window:
    """Ranges of the steps to time and to trace."""

    timed: range
    traced: range


def choose_window(first: int, per_epoch: int, total: int) -> Window:
    """Choose the steps to profile.

    After :data:`WARMUP_STEPS` steps, :data:`STEPS` steps are timed and then the same number is
    traced; both are fewer if the run is short. All traced steps are in the same epoch, so the trace
    does not include validation.

    Args:
        first: Number of the run's first step.
        per_epoch: Number of steps per epoch.
        total: Total number of steps in the run.

    Returns:
        The ranges of steps to time and to trace.

    Raises:
        UsageError: If fewer than two steps remain.
    """
    remaining = total - first
    if remaining < 2:
        raise UsageError(f"profiling needs at least 2 steps, but only {remaining} remain")
    traced = min(STEPS, per_epoch, remaining // 2)
    warm = min(WARMUP_STEPS, (remaining - traced) // 2)
    timed = min(STEPS, remaining - traced - warm)
    start = first + warm + timed
    if start % per_epoch + traced > per_epoch:  # must not cross the end of an epoch
        start += per_epoch - start % per_epoch
    if start + traced > total:
        start = total - traced
        timed = min(timed, start - first - warm)
    return Window(range(first + warm, first + warm + timed), range(start, start + traced))


class Profiler(Unwatched):
    """Profiles a training run without affecting its weights, and writes ``trace.json``.

    Tracing slows down every operation. The time of a step is therefore measured on steps that are
    not traced, and on the CPU so is the time of each phase.

    Args:
        folder: Folder for ``trace.json``.
        device: Device used for training.
        window: The steps to time and to trace.
    """

    def __init__(self, folder: Path, device: torch.device, window: Window) -> None:
        self.folder, self.device, self.window = folder, device, window
        self.flops_per_step = 0
        self.matrix_flops_per_s = 0.0
        self._step = self._steps_timed = 0
        self._timed_s = 0.0
        self._since: float | None = None
        self._self_s = dict.fromkeys(PHASES, 0.0)
        self._nested_s: list[float] = []
        self._tracer: profile | None = None
        self._tracing = False

    def count_flops(self, model: nn.Module, images: Tensor, precision: str) -> None:
        """Count the floating-point operations of a step, and measure the device's peak rate.

        Args:
            model: The model.
            images: A batch of augmented and standardized images.
            precision: Training precision, e.g. "bf16".
        """
        self.flops_per_step = pass_flops(model, images)
        self.matrix_flops_per_s = matrix_flops_per_s(self.device, DTYPES[precision])

    @contextmanager
    def epoch(self, step: int) -> Iterator[None]:
        """Time the steps of an epoch, excluding the time between epochs.

        Args:
            step: Number of the epoch's first step.

        Yields:
            None.
        """
        self._step = step
        self._begin()
        try:
            yield
        finally:
            self._pause()
            self._finish_trace()

    def step(self) -> None:
        """Record the end of a step; start or stop timing and tracing if it is due."""
        self._steps_timed += self._step in self.window.timed
        self._step += 1
        if self._step not in self.window.timed:
            self._pause()
        if self._step == self.window.traced.stop:
            self._finish_trace()
        self._begin()

    def _begin(self) -> None:
        if self._step == self.window.traced.start:
            self._tracer, self._tracing = _started_tracer(self.device), True
        if self._step in self.window.timed and self._since is None:
            synchronize(self.device)
            self._since = time.perf_counter()

    def _pause(self) -> None:
        """Stop the timer if it is running, after one synchronization with the device."""
        if self._since is not None:
            synchronize(self.device)
            self._timed_s += time.perf_counter() - self._since
            self._since = None

    def span(self, phase: str) -> AbstractContextManager[object]:
        """Time or trace a phase; see :meth:`Unwatched.span`.

        Args:
            phase: One of :data:`PHASES`.

        Returns:
            A context manager.
        """
        if self._step in self.window.traced:
            return record_function(PREFIX + phase)
        if self._step in self.window.timed and self.device.type == "cpu":
            return self._clock(phase)
        return _NOTHING

    @contextmanager
    def _clock(self, phase: str) -> Iterator[None]:
        """Add the time of the enclosed block, excluding nested spans, to the phase's time."""
        self._nested_s.append(0.0)
        start = time.perf_counter()
        yield
        took = time.perf_counter() - start
        self._self_s[phase] += took - self._nested_s.pop()
        if self._nested_s:
            self._nested_s[-1] += took

    def _finish_trace(self) -> None:
        """Stop the tracer if it is running; the trace is written after training."""
        if self._tracing and self._tracer is not None:
            synchronize(self.device)
            self._tracer.stop()
            self._tracing = False

    def report(self, precision: str) -> dict[str, Any]:
        """Write ``trace.json`` and return the profile; call this after training.

        Args:
            precision: Training precision, e.g. "bf16".

        Returns:
            The profile as a JSON document, with times in milliseconds and rates in floating-point
            operations per second.
        """
        assert self._tracer is not None
        self._tracer.export_chrome_trace(str(self.folder / "trace.json"))
        operations = _operations(self._tracer, self.device, len(self.window.traced))
        steps, step_s = self._steps_timed, self._timed_s / self._steps_timed
        if self.device.type == "cuda":
            trace = json.loads((self.folder / "trace.json").read_text(encoding="utf-8"))
            busy = device_ms(trace, PREFIX, PHASES)
            ms = {phase: busy[phase] / len(self.window.traced) for phase in PHASES}
        else:
            ms = {phase: 1e3 * self._self_s[phase] / steps for phase in PHASES}
        ms["other"] = max(0.0, 1e3 * step_s - sum(ms.values()))
        achieved = self.flops_per_step / step_s
        # the better of two measurements, since other work on the machine can only slow it down
        dtype = DTYPES[precision]
        best = max(self.matrix_flops_per_s, matrix_flops_per_s(self.device, dtype))
        return {
            "schema": SCHEMA,
            "device": self.device.type,
            "precision": precision,
            "threads": torch.get_num_threads(),
            "steps_timed": steps,
            "steps_traced": len(self.window.traced),
            "step_ms": 1e3 * step_s,
            "budget": [
                {"phase": phase, "ms": value, "share": value / (1e3 * step_s)}
                for phase, value in ms.items()
            ],
            "flops_per_step": self.flops_per_step,
            "flops_per_s": achieved,
            "matrix_flops_per_s": best,
            "share_of_matrix": achieved / best,
            "operations": operations,
            "trace": "trace.json",
        }


def _started_tracer(device: torch.device) -> profile:
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    tracer = profile(activities=activities, with_flops=True)
    level = os.environ.get("KINETO_LOG_LEVEL")
    os.environ["KINETO_LOG_LEVEL"] = level or "6"  # otherwise it logs to stderr
    try:
        tracer.start()
    finally:
        if level is None:
            del os.environ["KINETO_LOG_LEVEL"]
    return tracer


def _operations(tracer: profile, device: torch.device, steps: int) -> list[dict[str, Any]]:
    """Return the operations with the longest self time (on CUDA, self device time).

    ``flops`` is the tracer's FLOP count for forward passes, or 0 if the tracer reports none.
    """
    own_us: Callable[[Any], float] = lambda row: (  # noqa: E731  # a short key function
        row.self_device_time_total if device.type == "cuda" else row.self_cpu_time_total
    )
    rows = [row for row in tracer.key_averages() if not row.key.startswith(PREFIX)]
    total_us = sum(map(own_us, rows)) or 1.0
    return [
        {
            "name": row.key,
            "calls": row.count / steps,
            "self_ms": own_us(row) / 1e3 / steps,
            "share": own_us(row) / total_us,
            "flops": int(row.flops or 0) // steps,
        }
        for row in sorted(rows, key=own_us, reverse=True)[:TOP]
    ]
