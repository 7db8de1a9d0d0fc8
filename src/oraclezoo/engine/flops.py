"""FLOP count of a training step, and peak FLOP rate of a device."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from oraclezoo.engine.device import synchronize

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Data type for each precision that a recipe can choose."""

EDGE = {"cpu": 1024, "cuda": 8192}
"""Number of rows and columns of the multiplied matrices; large enough to saturate the device."""


def pass_flops(model: nn.Module, images: Tensor) -> int:
    """Return the number of floating-point operations in a forward and a backward pass.

    Convolutions, matrix multiplications and attention are counted; a multiply-add counts as two.

    Args:
        model: The model; the passes run on a copy of it.
        images: A batch, float ``(N, C, H, W)``, on the model's device.
    """
    twin = copy.deepcopy(model).train()
    with (
        torch.random.fork_rng([images.device] if images.is_cuda else []),
        FlopCounterMode(display=False) as counter,
    ):
        logits = twin(images)
        F.cross_entropy(logits.float(), logits.argmax(1)).backward()  # type: ignore[no-untyped-call]  # untyped in torch
    return int(counter.get_total_flops())


def matrix_flops_per_s(device: torch.device, dtype: torch.dtype, repeats: int = 15) -> float:
    """Return the peak rate of matrix multiplication in floating-point operations per second.

    This is the rate of the fastest of ``repeats`` multiplications of two square matrices. On the
    CPU, a 3x3 convolution is timed as well: PyTorch computes it with a different library, which on
    some processors is the only one that uses the widest vector instructions. The matrices are
    random, because GPUs multiply zeros faster.
    """
    edge = EDGE.get(device.type, EDGE["cpu"])
    generator = torch.Generator(device=device).manual_seed(0)
    a, b = (torch.randn(edge, edge, device=device, generator=generator).to(dtype) for _ in range(2))
    best = 2 * edge**3 / _best_s(lambda: a @ b, device, repeats)
    if device.type == "cpu":
        images = torch.randn(16, 128, 28, 28, generator=generator).to(dtype)
        filters = torch.randn(128, 128, 3, 3, generator=generator).to(dtype)
        images, filters = (x.to(memory_format=torch.channels_last) for x in (images, filters))
        elapsed_s = _best_s(lambda: F.conv2d(images, filters, padding=1), device, repeats)
        best = max(best, 2 * 16 * 28 * 28 * 128 * 128 * 9 / elapsed_s)
    return best


def _best_s(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats + 1):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best
