"""Tasks in folders: identity, outcome, and workers that die."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from oraclezoo.executors.probe import Behavior, Probe, Probed
from oraclezoo.jobs import Failed, Message
from oraclezoo.jobs.lease import attempts
from oraclezoo.jobs.task import VARIABLE, Task, TaskFolder


@dataclass(frozen=True)
class Example:
    """A request with a field that does not matter."""

    ACTION: ClassVar[str] = "example:act"
    INCIDENTAL: ClassVar[tuple[str, ...]] = ("resume",)

    value: int
    folder: Path
    resume: bool = False


def run(task: TaskFolder) -> int:
    """Run a worker of the task; return its exit status."""
    command = [sys.executable, "-m", "oraclezoo.jobs", str(task.path), "word"]
    return subprocess.run(command, check=False).returncode


def probe(folder: Path, behavior: Behavior) -> TaskFolder:
    """Create the task of a small job."""
    return Task(Probe(7, folder / "work", behavior), "small").create(folder / "tasks")


def test_the_identifier_covers_what_determines_the_outcome() -> None:
    """Neither paths nor the flag to resume, but values and the digest of other inputs."""
    task = Task(Example(1, Path("a")), "label", "inputs")
    assert task.id == Task(Example(1, Path("b"), resume=True), "other", "inputs").id
    assert task.id != Task(Example(2, Path("a")), "label", "inputs").id
    assert task.id != Task(Example(1, Path("a")), "label", "others").id


def test_a_worker_leaves_the_last_event(tmp_path: Path) -> None:
    """And a second worker does nothing."""
    task = probe(tmp_path, "succeed")
    assert run(task) == 0
    assert task.end() == Probed(7, 1)
    assert run(task) == 0
    assert len(attempts(task.path)) == 1
    events, offset = task.events(0)
    assert events == [Probed(7, 1)]
    assert task.events(offset) == ([], offset)


def test_a_small_job_imports_nothing_heavy(tmp_path: Path) -> None:
    """Its time is that of starting Python."""
    task = probe(tmp_path, "succeed")
    command = [sys.executable, "-X", "importtime", "-m", "oraclezoo.jobs", str(task.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "oraclezoo.jobs.lease" in imported
    assert not {"torch", "numpy", "scipy", "onnx", "timm", "PIL", "rich"} & imported


def test_a_failure_is_kept_and_may_be_tried_again(tmp_path: Path) -> None:
    """The failure moves aside, and the next worker runs."""
    task = probe(tmp_path, "fail")
    assert run(task) == 1
    assert isinstance(task.end(), Failed)
    task.reopen()
    assert task.end() is None
    assert (task.path / "failed-1.json").is_file()
    assert task.attempts() == []
    run(task)
    assert isinstance(task.end(), Failed)


def test_a_job_that_dies_again_and_again_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the number of deaths that are allowed, the next worker records the failure."""
    monkeypatch.setenv(VARIABLE, "2")
    task = probe(tmp_path, "die")
    for _ in range(2):
        assert run(task) < 0
        assert task.end() is None
    assert run(task) == 0
    last = task.end()
    assert isinstance(last, Failed)
    assert (last.reason, "2 times" in last.message) == ("killed", True)


def test_torn_events_are_skipped(tmp_path: Path) -> None:
    """A killed worker may leave half a line; the next one starts a new line."""
    task = probe(tmp_path, "succeed")
    (task.path / "events.jsonl").write_text(
        '{"event": "oraclezoo.jobs.messages:Message", "fields": {"message": "a"}}\n{"event": "ora'
    )
    assert task.events(0)[0] == [Message("a")]
    run(task)
    assert task.events(0)[0] == [Message("a"), Probed(7, 1)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"event": "oraclezoo.jobs:Nobody"}'])
def test_an_unreadable_outcome_is_none(content: bytes, tmp_path: Path) -> None:
    """A task counts as done only with a valid last event."""
    task = probe(tmp_path, "succeed")
    (task.path / "end.json").write_bytes(content)
    assert task.end() is None
