"""System figures: what this process takes, in the units that the names say."""

from __future__ import annotations

import sys
import time

import pytest
import torch

from oraclezoo.measure.system import System


def test_processor_use_is_that_since_the_last_time() -> None:
    """A busy while is near one core, an idle one near none."""
    system = System(torch.device("cpu"))
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    busy = system.figures()["system/cpu_percent"]
    time.sleep(0.3)
    assert system.figures()["system/cpu_percent"] < busy


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_memory_grows_with_what_is_held() -> None:
    """A quarter of a gibibyte more."""
    system = System(torch.device("cpu"))
    before = system.figures()["system/memory_gib"]
    held = torch.ones(2**26)
    grown = system.figures()["system/memory_gib"] - before
    assert len(held)
    assert 0.2 < grown < 0.4
    assert system.figures()["system/memory_free_gib"] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_told_of() -> None:
    """At least its memory."""
    held = torch.ones(2**26, device="cuda")
    found = System(held.device).figures()
    assert found["system/gpu_memory_gib"] >= 0.25
    assert found["system/gpu_memory_free_gib"] > 0
