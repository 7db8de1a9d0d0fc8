"""Description of the hardware and library versions, and a measure of the machine's speed."""

from __future__ import annotations

import os
import platform
import re
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F

LIBRARIES = ("torch", "timm", "numpy", "scipy", "onnx", "onnxruntime", "torch-pruning")


def describe(device: torch.device) -> dict[str, Any]:
    """Return a result's hardware fields, except ``calibration_s``; memory sizes are in bytes."""
    cpu, cores, threads = cpu_name(), os.cpu_count() or 1, torch.get_num_threads()
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        name, device_memory = properties.name, int(properties.total_memory)
    else:
        name = cpu if device.type == "cpu" else f"{device.type} of {cpu}"
        device_memory = None
    return {
        "class": class_of(name, device_memory, cores, threads),
        "device": name,
        "device_memory_bytes": device_memory,
        "cpu": cpu,
        "cores": cores,
        "threads": threads,
        "memory_bytes": memory_bytes(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def class_of(device: str, device_memory_bytes: int | None, cores: int, threads: int) -> str:
    """Return the hardware class: a GPU with its memory, or a CPU with cores and threads."""
    if device_memory_bytes is None:
        return slug(f"{device}-{cores}c-{threads}t")
    return slug(f"{device}-{device_memory_bytes / 2**30:.0f}gib")


def slug(text: str) -> str:
    """Convert text to a file name: lower case, with dashes in place of special characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def cpu_name() -> str:
    """Return the processor's model name as reported by the operating system."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        match = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine() or "unknown"


def memory_bytes() -> int:
    """Return the machine's physical memory in bytes, or 0 if the system does not report it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 0


def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a result depends on."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if torch.cuda.is_available():
        versions["cuda"] = str(torch.version.cuda)
        versions["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]  # untyped in torch
    return versions


def calibrate(device: torch.device, repeats: int = 3) -> float:
    """Return the median time in seconds of a fixed workload, a training pass of a small CNN.

    This time is recorded with every timing, so that timings from a busy machine can be recognized.
    The workload does not change within a protocol version.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(128, 32, 28, 28, generator=generator).to(device)
    weights = [
        (torch.randn(64, 32, 3, 3, generator=generator) * 0.05).to(device).requires_grad_(),
        (torch.randn(64, 64, 3, 3, generator=generator) * 0.05).to(device).requires_grad_(),
    ]
    times = []
    for _ in range(repeats + 1):
        _synchronise(device)
        start = time.perf_counter()
        hidden = F.gelu(F.max_pool2d(F.conv2d(images, weights[0], padding=1), 2))
        F.conv2d(hidden, weights[1], padding=1).square().mean().backward()  # type: ignore[no-untyped-call]  # untyped in torch
        _synchronise(device)
        times.append(time.perf_counter() - start)
    return median(times[1:])  # the first is a warm-up


def _synchronise(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
