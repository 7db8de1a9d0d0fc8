"""Tracker jsonl: complete lines, each with its run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from threading import Thread
from typing import Any

from oraclezoo.trackers.jsonl import JsonLines


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_lines_of_a_run(tmp_path: Path) -> None:
    """Configuration, metrics, file digests and status are logged in this order."""
    tracker = JsonLines(run_name="a", folder=tmp_path, config={"optimizer.lr": 0.1, "class": "大"})
    tracker.log(5, {"train/loss": 1.5})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"123")
    tracker.artifact(tmp_path / "model")
    tracker.finish("done")
    start, log, artifact, finish = rows(tmp_path / "tracker.jsonl")
    assert start["config"] == {"optimizer.lr": 0.1, "class": "大"}
    assert (log["step"], log["values"]) == (5, {"train/loss": 1.5})
    assert artifact["sha256"] == hashlib.sha256(b"123").hexdigest()
    assert artifact["size_bytes"] == 3
    assert finish["status"] == "done"
    assert {row["run"] for row in (start, log, artifact, finish)} == {"a"}


def test_a_new_run_replaces_and_a_resumed_one_goes_on(tmp_path: Path) -> None:
    """The file is handled like the run's own metrics."""
    JsonLines(run_name="a", folder=tmp_path, config={"resumed_step": 0}).finish("interrupted")
    JsonLines(run_name="a", folder=tmp_path, config={"resumed_step": 7}).finish("done")
    assert len(rows(tmp_path / "tracker.jsonl")) == 4
    JsonLines(run_name="a", folder=tmp_path, config={"resumed_step": 0})
    assert len(rows(tmp_path / "tracker.jsonl")) == 1


def test_runs_may_share_a_file(tmp_path: Path) -> None:
    """Concurrent runs neither tear nor lose lines."""
    shared = tmp_path / "deep" / "all.jsonl"

    def work(name: str) -> None:
        tracker = JsonLines(run_name=name, folder=tmp_path, config={}, path=str(shared))
        for step in range(200):
            tracker.log(step, {"x": 1.0})

    threads = [Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(shared)) == 3 * 201
