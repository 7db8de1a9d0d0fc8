"""scaling.py: its rows, and a short run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Script = Callable[[str], ModuleType]
ROOT = Path(__file__).resolve().parents[2]


def test_sizes_end_at_the_largest(script: Script) -> None:
    """Data sets above the limit are trained both in memory and streamed."""
    scaling = script("scaling")
    assert scaling.sizes(1_000_000) == [1_000, 10_000, 100_000, 1_000_000]
    assert scaling.sizes(99_999) == [1_000, 10_000]
    assert scaling.places(10_000, 7.84) == [False]
    assert scaling.places(10_000, 7.83) == [False, True]


def test_too_few_images_are_refused(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    """The largest size must not be below the smallest."""
    with pytest.raises(SystemExit):
        script("scaling").parse(["--largest", "10"])
    assert "at least 1,000" in capsys.readouterr().err


@pytest.mark.full
def test_a_quick_run() -> None:
    """A short run prints one document with a row for each size."""
    command = [sys.executable, "benchmarks/scaling.py", "--quick", "--json", "--device", "cpu"]
    command += ["--threads", "1", "--turn-s", "0.1", "--turns", "1"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "oraclezoo/scaling/1"
    data = document["data"]
    assert [(row["images"], row["streamed"]) for row in data["images"]] == [
        (1_000, False),
        (10_000, False),
        (10_000, True),
    ]
    for row in data["images"] + data["widths"]:
        assert row["images_per_s"]["median"] > 0
        assert row["peak_memory_bytes"] > 1e8  # a process with torch in it
    narrow, wide = data["widths"]
    assert narrow["parameters"] < wide["parameters"]
    assert narrow["flops_per_image"] < wide["flops_per_image"]
    flops = wide["images_per_s"]["median"] * wide["flops_per_image"] / 1e9
    assert wide["gflops_per_s"] == pytest.approx(flops, abs=0.06)
