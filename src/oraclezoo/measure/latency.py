"""Measure the latency of a PyTorch model per batch, with percentiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict

import torch
from torch import Tensor, nn

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.measure.repeats import Repeats, Times, clock_ms, repeat


def measure(
    call: Callable[[], object],
    *,
    device: torch.device,
    warmup: int = 10,
    min_repeats: int = 30,
    max_repeats: int = 1000,
    budget_s: float = 1.0,
) -> Times:
    """Time ``call`` repeatedly, after ``warmup`` calls that are not timed.

    Calls on CUDA are timed with CUDA events, all others with the monotonic clock.

    Args:
        call: The function to time.
        device: Device that the function runs on.
        warmup: Number of calls before timing starts.
        min_repeats: Minimum number of timed calls.
        max_repeats: Maximum number of timed calls.
        budget_s: Time in seconds after which timing ends, subject to ``min_repeats`` and
            ``max_repeats``.
    """
    for _ in range(warmup):
        call()
    timer = _cuda_ms if device.type == "cuda" else _clock_ms
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        return repeat(lambda: timer(call, device), Repeats(budget_s, min_repeats, max_repeats))


def eager(
    model: nn.Module,
    *,
    in_chans: int,
    image_size: int,
    device: torch.device,
    settings: Sequence[tuple[int, int]] | None = None,
    budget_s: float = 1.0,
    min_repeats: int = 30,
) -> list[LatencyRow]:
    """Time the forward pass of a module in eager mode on standardized float32 images.

    The images are in channels-last memory format (NHWC).

    Args:
        model: The module; it is moved to the device and put into evaluation mode.
        in_chans: Number of input channels.
        image_size: Width and height of the images in pixels.
        device: Device to run on.
        settings: Pairs of batch size and number of threads; by default batch 1 on one thread, and
            batch 256 on PyTorch's number of threads.
        budget_s: Approximate time per setting, in seconds.
        min_repeats: Minimum number of timed passes per setting.

    Returns:
        One latency row for each setting.
    """
    return passes(
        model.to(device).to(memory_format=torch.channels_last).eval(),
        in_chans=in_chans,
        image_size=image_size,
        device=device,
        settings=settings,
        repeats=Repeats(budget_s, min_repeats),
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
    repeats: Repeats | None = None,
) -> list[LatencyRow]:
    """Time the forward pass of a module as it is, e.g. compiled or in bf16.

    ``runtime`` and ``precision`` are copied to the latency rows; the other arguments are the same
    as for :func:`eager`.
    """
    rows, limits = [], repeats or Repeats()
    for batch_size, threads in settings or ((1, 1), (256, torch.get_num_threads())):
        images = _images(batch_size, in_chans, image_size, device)
        with _threads(threads), torch.inference_mode():
            times = measure(
                lambda images=images: model(images),  # type: ignore[misc]  # bound early
                device=device,
                budget_s=limits.budget_s,
                min_repeats=limits.min_repeats,
                max_repeats=limits.max_repeats,
            )
        row = LatencyRow(
            runtime=runtime,
            precision=precision,
            device=device.type,
            threads=threads,
            batch_size=batch_size,
            **asdict(times),
        )
        rows.append(row)
    return rows


def first_passes_s(
    model: nn.Module,
    *,
    in_chans: int,
    image_size: int,
    device: torch.device,
    settings: Sequence[tuple[int, int]],
) -> float:
    """Return the total time in seconds of each setting's first pass, which includes compilation."""
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
