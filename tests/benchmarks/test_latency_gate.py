"""``benchmarks/latency_gate.py``: the ratio, the verdict and what is compared."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

import oraclezoo

ROOT = Path(__file__).resolve().parents[2]
MODELS = Path(oraclezoo.__file__).parent / "models"
QUICK = ("--rounds", "1", "--budget-s", "0.01")


@pytest.fixture(scope="module")
def gate() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "latency_gate.py"))


def test_the_fastest_rounds_count(gate: dict[str, Any]) -> None:
    """A disturbed round does not fail a model, and does not excuse one."""
    before = {"a": [1.0, 1.1, 9.0], "b": [2.0, 2.0, 2.0]}
    now = {"a": [1.2, 7.0, 1.3], "b": [2.6, 2.5, 9.0]}
    assert gate["ratios"](now, before) == pytest.approx({"a": 1.2, "b": 1.25})


def test_models_of_both_folders_are_timed(
    gate: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those without an earlier version are named; the status follows the limit."""
    before = tmp_path / "before"
    shutil.copytree(MODELS / "oraclenet_n", before / "oraclenet_n")
    assert gate["main"]([str(MODELS), str(before), *QUICK, "--limit", "1e9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("nothing to compare with" in line for line in lines) == 2
    assert any(line.startswith("oraclenet_n: ") and line.endswith(": ok") for line in lines)
    assert gate["main"]([str(MODELS), str(before), *QUICK, "--limit", "0"]) == 3
    assert "slower than allowed" in capsys.readouterr().out


def test_a_folder_without_models_is_an_error(
    gate: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong path must not pass as nothing slower."""
    with pytest.raises(SystemExit) as stopped:
        gate["main"]([str(MODELS), str(tmp_path)])
    assert stopped.value.code == 2
    assert "has no models" in capsys.readouterr().err
