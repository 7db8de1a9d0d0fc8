"""executors.py: a short run, and its part of a page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_quick_run() -> None:
    """A short run loses nothing and prints one document."""
    command = [sys.executable, "benchmarks/executors.py", "--quick", "--json", "--device", "cpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    assert (data["kills"]["lost"], data["kills"]["twice"]) == (0, 0)
    assert data["kills"]["killed_workers"] + data["kills"]["killed_submitters"] >= 4
    assert data["memory"]["jobs"] == 20


def test_the_published_figures_keep_the_promises() -> None:
    """Nothing is lost or done twice, memory is flat, and a job costs at most a second."""
    path = ROOT / "benchmarks" / "measurements" / "executors.json"
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    kills = data["kills"]
    assert kills["killed_workers"] + kills["killed_submitters"] >= 100
    assert (kills["lost"], kills["twice"]) == (0, 0)
    assert data["overhead"]["overhead_s"] <= 1
    assert data["memory"]["jobs"] >= 2000
    assert data["memory"]["growth_bytes"] < 5e6
    assert data["trainings"]["predictions_equal"]
