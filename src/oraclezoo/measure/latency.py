"""Latency: how long a model takes for a batch, and how much that varies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from oraclezoo.measure.repeats import clock_ms, repeat


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
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        return repeat(
            lambda: timed(call, device),
            min_repeats=min_repeats,
            max_repeats=max_repeats,
            budget_s=budget_s,
        )


def eager(
    model: nn.Module,
    *,
    in_chans: int,
    image_size: int,
    device: torch.device,
    settings: Sequence[tuple[int, int]] | None = None,
    budget_s: float = 1.0,
    min_repeats: int = 30,
) -> list[dict[str, Any]]:
    """Latency rows of a module run by torch as it is: batch 1 on one thread, 256 on all.

    Or other ``settings``, pairs of batch size and threads; each takes about ``budget_s`` seconds.

    Times the forward pass alone, from standardised float32 NHWC images to logits.
    """
    return passes(
        model.to(device).to(memory_format=torch.channels_last).eval(),
        in_chans=in_chans,
        image_size=image_size,
        device=device,
        settings=settings,
        budget_s=budget_s,
        min_repeats=min_repeats,
    )


def passes(
    model: nn.Module,
    *,
    in_chans: int,
    image_size: int,
    device: torch.device,
    runtime: str = "eager",
    precision: str = "fp32",
    settings: Sequence[tuple[int, int]] | None = None,
    budget_s: float = 1.0,
    min_repeats: int = 30,
) -> list[dict[str, Any]]:
    """As :func:`eager`, of a module that is ready on the device: in another form, or compiled.

    ``runtime`` and ``precision`` say which, for the rows.
    """
    rows = []
    for batch_size, threads in settings or ((1, 1), (256, torch.get_num_threads())):
        images = _images(batch_size, in_chans, image_size, device)
        with _threads(threads), torch.inference_mode():
            times = measure(
                lambda images=images: model(images),  # type: ignore[misc]  # bound now
                device=device,
                budget_s=budget_s,
                min_repeats=min_repeats,
            )
        row = {"runtime": runtime, "precision": precision, "device": device.type}
        rows.append({**row, "threads": threads, "batch_size": batch_size, **times})
    return rows


def first_passes_s(
    model: nn.Module,
    *,
    in_chans: int,
    image_size: int,
    device: torch.device,
    settings: Sequence[tuple[int, int]],
) -> float:
    """Seconds until a compiled module has seen a batch of each setting: what compiling takes."""
    start = time.perf_counter()
    for batch_size, threads in settings:
        with _threads(threads), torch.inference_mode():
            model(_images(batch_size, in_chans, image_size, device)).cpu()
    return time.perf_counter() - start


def _images(batch_size: int, in_chans: int, image_size: int, device: torch.device) -> Tensor:
    images = torch.zeros(batch_size, in_chans, image_size, image_size, device=device)
    return images.normal_().contiguous(memory_format=torch.channels_last)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _clock_ms(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cpu":
        return clock_ms(call)
    torch.accelerator.synchronize(device)

    def finished() -> None:
        call()
        torch.accelerator.synchronize(device)

    return clock_ms(finished)


def _cuda_ms(call: Callable[[], object], device: torch.device) -> float:
    begin, end = (torch.Event(device, enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))
