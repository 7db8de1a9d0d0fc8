"""Latency: how long a model takes for a batch, and how much that varies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn


def measure(
    call: Callable[[], object],
    *,
    device: torch.device,
    warmup: int = 10,
    min_repeats: int = 30,
    max_repeats: int = 1000,
    budget_s: float = 1.0,
) -> dict[str, float | int]:
    """Milliseconds of ``call``: ``p50_ms``, ``p95_ms``, ``p99_ms`` and ``repeats``.

    After ``warmup`` calls, repeats until ``budget_s`` is used up, within the given bounds. On CUDA
    each call is bracketed by events, elsewhere by a monotonic clock.
    """
    for _ in range(warmup):
        call()
    timed = _cuda_ms if device.type == "cuda" else _clock_ms
    times: list[float] = []
    stop = time.monotonic() + budget_s
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        while len(times) < min_repeats or (time.monotonic() < stop and len(times) < max_repeats):
            times.append(timed(call, device))
    p50, p95, p99 = (float(value) for value in np.percentile(times, (50, 95, 99)))
    return {"repeats": len(times), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def eager(
    model: nn.Module, *, in_chans: int, image_size: int, device: torch.device
) -> list[dict[str, Any]]:
    """Latency rows of a module run by torch as it is: batch 1 on one thread, 256 on all.

    Times the forward pass alone, from standardised float32 NHWC images to logits.
    """
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    rows = []
    for batch_size, threads in ((1, 1), (256, torch.get_num_threads())):
        images = torch.zeros(batch_size, in_chans, image_size, image_size, device=device)
        images = images.normal_().contiguous(memory_format=torch.channels_last)
        with _threads(threads), torch.inference_mode():
            times = measure(lambda images=images: model(images), device=device)  # type: ignore[misc]  # bound now
        row = {"runtime": "eager", "precision": "fp32", "device": device.type}
        rows.append({**row, "threads": threads, "batch_size": batch_size, **times})
    return rows


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _clock_ms(call: Callable[[], object], device: torch.device) -> float:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    start = time.perf_counter()
    call()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return (time.perf_counter() - start) * 1e3


def _cuda_ms(call: Callable[[], object], device: torch.device) -> float:
    begin, end = (torch.Event(device, enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))
