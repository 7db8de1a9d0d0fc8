"""System metrics of this process, in the units of their names."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch

from oraclezoo.measure.system import System


def test_processor_use_is_that_since_the_last_time() -> None:
    """A busy interval is near one core, an idle one near zero."""
    system = System(torch.device("cpu"))
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    busy = system.figures()["system/cpu_percent"]
    time.sleep(0.3)
    assert system.figures()["system/cpu_percent"] < busy


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_memory_is_what_the_kernel_says() -> None:
    """Memory in GiB agrees with another file of the kernel."""
    figures = System(torch.device("cpu")).figures()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (report,) = (int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    assert figures["system/memory_gib"] == pytest.approx(report / 2**20, rel=0.1)
    assert figures["system/memory_free_gib"] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_told_of() -> None:
    """At least its memory is reported."""
    resident = torch.ones(2**26, device="cuda")
    actual = System(resident.device).figures()
    assert actual["system/gpu_memory_gib"] >= 0.25
    assert actual["system/gpu_memory_free_gib"] > 0
