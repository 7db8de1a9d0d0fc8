"""GPU time per phase, computed from a Chrome trace of PyTorch's profiler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_DEVICE_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
_LAUNCHES = ("cuda_runtime", "cuda_driver")


def device_ms(trace: dict[str, Any], prefix: str, phases: Sequence[str]) -> dict[str, float]:
    """Return the time in milliseconds of the GPU work that was launched in each phase.

    A kernel belongs to the phase of the innermost range during which it was launched. The thread is
    ignored, since the backward pass launches kernels from another thread. Work outside all ranges
    is not counted.
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
    totals = dict.fromkeys(phases, 0.0)
    for event in events:
        if event.get("cat") not in _DEVICE_WORK:
            continue
        at = launched.get(event.get("args", {}).get("correlation"))
        inside = [r for r in ranges if at is not None and r[0] <= at <= r[1]]
        if inside:
            phase = min(inside, key=lambda r: r[1] - r[0])[2]
            totals[phase] += event["dur"] / 1e3
    return totals
