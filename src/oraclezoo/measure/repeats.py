"""Time a function repeatedly, and compute percentiles."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Repeats:
    """Limits on repeated timing: a time budget in seconds, and bounds on the number of calls."""

    budget_s: float = 1.0
    min_repeats: int = 30
    max_repeats: int = 1000


@dataclass(frozen=True)
class Times:
    """Number of timed calls and percentiles of their durations."""

    repeats: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


def repeat(once_ms: Callable[[], float], repeats: Repeats) -> Times:
    """Call ``once_ms`` repeatedly and summarize the durations in ms that it returns."""
    times: list[float] = []
    stop = time.monotonic() + repeats.budget_s
    while len(times) < repeats.min_repeats or (
        time.monotonic() < stop and len(times) < repeats.max_repeats
    ):
        times.append(once_ms())
    p50, p95, p99 = (float(value) for value in np.percentile(times, (50, 95, 99)))
    return Times(len(times), p50, p95, p99)


def clock_ms(call: Callable[[], object]) -> float:
    """Return the duration of one call in milliseconds, measured with the monotonic clock."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3
