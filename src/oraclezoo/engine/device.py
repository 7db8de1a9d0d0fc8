"""Device selection (CUDA, MPS (untested) or CPU) and memory queries."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from oraclezoo.errors import UsageError


def pick(name: str = "auto") -> torch.device:
    """Return the device named ``"auto"`` (CUDA, MPS or CPU), ``"cpu"``, ``"cuda:1"`` or ``"mps"``.

    Raises UsageError if this machine does not have that device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device '{name}' is not one of auto, cpu, cuda, cuda:N, mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"device '{name}' is not one of auto, cpu, cuda, cuda:N, mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(
            f"device '{name}' is not available ({count} CUDA devices); use --device auto"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device 'mps' is not available; use --device auto")
    return device


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work; does nothing on the CPU."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute convolutions in IEEE float32 instead of TF32, cuDNN's default."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


UNKNOWN_MEMORY_BYTES = 4 << 30
"""Assumed free memory on systems that do not report it."""


def free_memory_bytes(device: torch.device) -> int:
    """Return the number of bytes that this process can allocate on both the host and the device."""
    free = _free_on_host()
    if device.type == "cuda":
        free = min(free, torch.cuda.mem_get_info(device)[0])
    return free


def _free_on_host() -> int:
    """Return the available memory as estimated by Linux, or less under a cgroup limit or ulimit."""
    estimates = []
    with suppress(OSError, AttributeError):
        line = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
        estimates.append(1024 * int(line[1]))  # type: ignore[index]  # None is suppressed
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # "max" means no limit
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        files = re.findall(r"^(?:in)?active_file (\d+)$", (group / "memory.stat").read_text(), re.M)
        estimates.append(limit - used + sum(map(int, files)))  # the page cache can be evicted
    with suppress(OSError, ValueError, ImportError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            estimates.append(max(0, limit - pages * resource.getpagesize()))
    if not estimates:
        with suppress(OSError, ValueError, AttributeError):
            estimates.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(estimates, default=UNKNOWN_MEMORY_BYTES)


def peak_memory_bytes(device: torch.device) -> int | None:
    """Return the process's peak device memory in bytes (on the CPU, its peak resident size)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
