"""Reads a Chrome trace of torch's profiler: which phase the work on a GPU belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_DEVICE_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
_LAUNCHES = ("cuda_runtime", "cuda_driver")


def device_ms(trace: dict[str, Any], prefix: str, phases: Sequence[str]) -> dict[str, float]:
    """Milliseconds of work on the GPU that was launched inside each phase's ranges.

    A kernel belongs to the innermost range that its launch fell into, by the clock and not by the
    thread: the backward pass launches from a thread of its own. Work launched outside all ranges is
    left out.
    """
    events = trace["traceEvents"]
    ranges = [
        (event["ts"], event["ts"] + event["dur"], event["name"].removeprefix(prefix))
        for event in events
        if event.get("cat") == "user_annotation" and event["name"].startswith(prefix)
    ]
    launched = {
        event["args"]["correlation"]: event["ts"]
        for event in events
        if event.get("cat") in _LAUNCHES and "correlation" in event.get("args", {})
    }
    found = dict.fromkeys(phases, 0.0)
    for event in events:
        if event.get("cat") not in _DEVICE_WORK:
            continue
        at = launched.get(event.get("args", {}).get("correlation"))
        inside = [r for r in ranges if at is not None and r[0] <= at <= r[1]]
        if inside:
            phase = min(inside, key=lambda r: r[1] - r[0])[2]
            found[phase] += event["dur"] / 1e3
    return found
