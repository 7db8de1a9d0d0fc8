"""Detection of out-of-memory errors, and estimates of the batch size that fits."""

from __future__ import annotations

import ctypes
import re
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from oraclezoo.engine.device import free_memory_bytes

SHARES = {"cuda": 0.8, "cpu": 0.4}
"""Fraction of the free memory that a batch's tensors may occupy. Allocators round sizes up and
libraries need workspace; on the CPU, resident memory grew by 2.2 to 4 times the tensors' size."""

PROBES = (2, 6)
"""Batch sizes of the two passes whose memory is measured."""

_SAID = re.compile(
    r"can't allocate memory|not enough memory|bad_alloc|out of memory|ALLOC_FAILED", re.IGNORECASE
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the host or a device has run out of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and bool(_SAID.search(str(error)))


def advice(failed: int, device: torch.device, passes: Callable[[int], None]) -> str:
    """Return two lines of advice: the memory that the failed batch needs, and a size that fits.

    The memory of two small batches is measured to separate the memory per image from the constant
    overhead.

    Args:
        failed: Size of the batch that did not fit.
        device: The device.
        passes: Runs a forward and a backward pass on the number of images it is given.
    """
    first = f"out of memory on {device.type} at a batch of {failed} images"
    try:
        few, more = (peak_bytes(device, lambda count=count: passes(count)) for count in PROBES)  # type: ignore[misc]  # bound early
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return f"{first}\neven {PROBES[-1]} do not fit: use a smaller model or another device"
    each = max(1.0, (more - few) / (PROBES[1] - PROBES[0]))
    always = max(0.0, few - PROBES[0] * each)
    with suppress(OSError, AttributeError):  # glibc keeps freed memory
        ctypes.CDLL(None).malloc_trim(0)
    free = free_memory_bytes(device)
    fits = batch_that_fits(SHARES.get(device.type, 0.4) * free - always, each, failed)
    memory = f"about {each / 1e6:.2g} MB per image, {free / 1e9:.2g} GB free"
    return f"{first} ({memory})\nuse -s budget.batch_size={fits} or less"


def batch_that_fits(free_bytes: float, each_bytes: float, failed: int) -> int:
    """Return the largest batch size that fits, a power of two and at most half of ``failed``.

    The limit of half the failed size keeps an underestimate of the memory from suggesting a batch
    that would fail again. The result is at least 1.
    """
    fits = max(1, int(min(free_bytes / each_bytes, failed / 2)))
    return 1 << (fits.bit_length() - 1)


def peak_bytes(device: torch.device, work: Callable[[], None]) -> int:
    """Return the peak total size in bytes of the tensors that ``work`` allocates.

    On CUDA, the allocator reports the peak; on the CPU, it is computed from the sizes of the
    tensors that operations return.
    """
    if device.type != "cuda":
        with _Held() as tensors:
            work()
        return int(tensors.peak_bytes)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return int(torch.cuda.max_memory_allocated(device) - before)


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]  # untyped in torch
    """Tracks the total memory of the tensors that are created in the context and not yet freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in torch
        self.peak_bytes = self._now_bytes = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._note(leaf.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage in self._seen:
            return
        self._seen.add(storage)
        size_bytes = storage.nbytes()
        self._now_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self._now_bytes)
        weakref.finalize(storage, self._give_back, size_bytes)

    def _give_back(self, size_bytes: int) -> None:
        self._now_bytes -= size_bytes
