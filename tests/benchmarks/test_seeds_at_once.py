"""seeds_at_once.py: its rows, a short run, and its page."""

from __future__ import annotations

import importlib
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


def test_every_ratio_is_over_seeds_in_turn(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sequential training is measured first; compilation is for accelerators only."""
    parse = script("seeds_at_once").parse
    arguments = parse(["--device", "cpu"])
    assert arguments.ways == ["in turn", "stacked", "threads", "processes"]
    assert arguments.seeds == [1, 2, 4, 8, 16]
    assert parse(["--device", "cpu", "--quick"]).seeds == [1, 2]
    for wrong in (["--ways", "stacked"], ["--ways", "in turn,magic"], ["--seeds", "2,none"]):
        with pytest.raises(SystemExit):
            parse(["--device", "cpu", *wrong])
        assert "error" in capsys.readouterr().err


@pytest.mark.full
def test_a_quick_run() -> None:
    """A short run prints one document with a row for each number of seeds and strategy."""
    command = [sys.executable, "benchmarks/seeds_at_once.py", "--quick", "--json"]
    command += ["--device", "cpu", "--ways", "in turn,stacked,processes", "--seeds", "2"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "oraclezoo/seeds-at-once/1"
    rows = document["data"]["rows"]
    assert [row["way"] for row in rows] == ["in turn", "stacked", "processes"]
    assert all(row["images_per_s"]["min"] > 0 for row in rows)
    assert rows[0]["over_in_turn"]["value"] == 1
    assert set(document["data"]["ratio_most"]) == {"in turn", "stacked", "processes"}


def test_the_page_says_what_the_file_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a row for each number of seeds, and ratios are quotients of medians."""
    path = ROOT / "benchmarks" / "measurements" / "seeds-at-once.json"
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    text = importlib.import_module("measured_seeds").seeds_at_once()
    assert text.count("\n| ") == 1 + len({row["seeds"] for row in data["rows"]}) + 1
    turn = {r["seeds"]: r["images_per_s"]["median"] for r in data["rows"] if r["way"] == "in turn"}
    for row in data["rows"]:
        quotient = row["images_per_s"]["median"] / turn[row["seeds"]]
        assert row["over_in_turn"]["value"] == pytest.approx(quotient, abs=1e-3)
        if row["way"] != "in turn":
            assert f"× {row['over_in_turn']['value']:.2f} (" in text
