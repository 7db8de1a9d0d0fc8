"""System metrics for trackers: CPU, memory and GPU utilization."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import torch

GIB = 2**30


class System:
    """Source of system metrics; CPU utilization is averaged since the previous call.

    The metrics are ``system/cpu_percent`` (100 for one fully used core), ``system/memory_gib``
    (resident memory of this process) and ``system/memory_free_gib`` (free memory of the machine).
    On CUDA there are also ``system/gpu_memory_gib`` (reserved by torch) and
    ``system/gpu_memory_free_gib``, and if the package nvidia-ml-py is installed,
    ``system/gpu_percent``, ``system/gpu_watts`` and ``system/gpu_celsius``.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def figures(self) -> dict[str, float]:
        """Return the metrics that are available on this system."""
        cpu, wall = time.process_time(), time.perf_counter()
        share = (cpu - self._cpu) / max(wall - self._wall, 1e-9)
        self._cpu, self._wall = cpu, wall
        metrics = {"system/cpu_percent": 100 * share}
        with suppress(OSError, ValueError, IndexError):  # not on Linux
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            metrics["system/memory_gib"] = pages * _page_bytes() / GIB
        with suppress(OSError, ValueError, StopIteration):
            lines = Path("/proc/meminfo").read_text().splitlines()
            line = next(line for line in lines if line.startswith("MemAvailable:"))
            metrics["system/memory_free_gib"] = 1024 * int(line.split()[1]) / GIB
        if self.device.type == "cuda":
            metrics |= self._gpu()
        return metrics

    def _gpu(self) -> dict[str, float]:
        free, _ = torch.cuda.mem_get_info(self.device)
        metrics = {
            "system/gpu_memory_gib": torch.cuda.memory_reserved(self.device) / GIB,
            "system/gpu_memory_free_gib": free / GIB,
        }
        with suppress(ImportError, RuntimeError, OSError):  # without nvidia-ml-py
            metrics["system/gpu_percent"] = float(torch.cuda.utilization(self.device))
            metrics["system/gpu_watts"] = torch.cuda.power_draw(self.device) / 1000
            metrics["system/gpu_celsius"] = float(torch.cuda.temperature(self.device))
        return metrics


def _page_bytes() -> int:
    import os

    return os.sysconf("SC_PAGE_SIZE")
