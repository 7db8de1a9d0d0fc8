"""gpu.sh with a stand-in for Python: parts, limits and failures."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """#!/bin/sh
echo "$@"
case "$*" in
  *find_spec*) exit 1 ;;
  *scaling.py*) exit 3 ;;
esac
"""
PARTS = (
    "environment",
    "throughput-oraclenet",
    "tests",
    "seeds-at-once",
    "speed",
    "time-to-accuracy",
    "receipts",
    "scaling",
    "throughput-mobilenetv3",
)

pytestmark = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("timeout")), reason="needs bash and timeout"
)


def gpu_sh(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the script into ``folder`` with a Python that prints its arguments."""
    python = folder / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    return subprocess.run(
        ["bash", "benchmarks/gpu.sh", str(folder / "found"), *options],
        cwd=ROOT,
        env=os.environ | {"PYTHON": str(python)},
        capture_output=True,
        text=True,
    )


def test_a_part_that_fails_stops_no_other(tmp_path: Path) -> None:
    """Each part has a log and a summary line, and the archive has all of them."""
    done = gpu_sh(tmp_path, "--pack", str(tmp_path / "all.tar.gz"))
    assert done.returncode == 1
    lines = (tmp_path / "found" / "summary.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == list(PARTS)
    assert [line.partition(":")[0] for line in lines if "status 0," not in line] == ["scaling"]
    with tarfile.open(tmp_path / "all.tar.gz") as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert names >= {"summary.txt", *(f"{part}.log" for part in PARTS)}


def test_what_is_not_installed_is_left_out(tmp_path: Path) -> None:
    """Without Lightning and torchao, their parts are skipped; only marked test files run."""
    gpu_sh(tmp_path)
    actual = tmp_path / "found"
    assert "--no-lightning" in (actual / "throughput-oraclenet.log").read_text()
    assert "--precisions bf16,fp16 " in (actual / "receipts.log").read_text()
    ran = [word for word in (actual / "tests.log").read_text().split() if word.endswith(".py")]
    assert "tests/engine/test_trainer.py" in ran
    assert all("@pytest.mark.gpu" in (ROOT / path).read_text(encoding="utf-8") for path in ran)


def test_parts_by_name(tmp_path: Path) -> None:
    """Only the named parts run; an unknown name is an error."""
    assert gpu_sh(tmp_path, "--only", "receipts,speed").returncode == 0
    lines = (tmp_path / "found" / "summary.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["speed", "receipts"]
    assert gpu_sh(tmp_path, "--only", "nothing").returncode == 2


def test_its_shares_fit_into_nine_minutes() -> None:
    """No part exceeds the remaining time, which is under nine minutes in total."""
    text = (ROOT / "benchmarks" / "gpu.sh").read_text(encoding="utf-8")
    assert "deadline=$((SECONDS + 520))" in text
    assert "timeout -s INT -k 10" in text
