"""Repeats: call something again and again, and say how long that took and how it varied."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def repeat(
    once_ms: Callable[[], float],
    *,
    min_repeats: int = 30,
    max_repeats: int = 1000,
    budget_s: float = 1.0,
) -> dict[str, float | int]:
    """Percentiles of what ``once_ms`` returns, in milliseconds: p50, p95, p99, and ``repeats``.

    Repeats until ``budget_s`` is used up, within the given bounds.
    """
    times: list[float] = []
    stop = time.monotonic() + budget_s
    while len(times) < min_repeats or (time.monotonic() < stop and len(times) < max_repeats):
        times.append(once_ms())
    p50, p95, p99 = (float(value) for value in np.percentile(times, (50, 95, 99)))
    return {"repeats": len(times), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def clock_ms(call: Callable[[], object]) -> float:
    """Milliseconds of one call by the monotonic clock."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3
