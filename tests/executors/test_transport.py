"""Transport of tasks to machines without a shared folder, and of their results back."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

from oraclezoo.contracts import Job
from oraclezoo.errors import ResultError
from oraclezoo.executors.probe import Behavior, Probe, Probed
from oraclezoo.executors.transport import pack, run_packed, unpack
from oraclezoo.jobs import Failed
from oraclezoo.jobs.lease import next_attempt
from oraclezoo.jobs.task import Task, TaskFolder


def job(folder: Path, behavior: Behavior = "succeed") -> Job:
    """A small job that writes a folder."""
    work = folder / "work"
    task = Task(Probe(3, work, behavior), "small", writes=(work,))
    path = task.create(folder / "tasks").path
    command = (sys.executable, "-m", "oraclezoo.jobs", str(path))
    return Job(task.id, task.label, path, command, writes=(work,))


def test_a_job_runs_elsewhere_and_its_results_come_back(tmp_path: Path) -> None:
    """Nothing is written at the paths of the submitting machine before the results are unpacked."""
    small = job(tmp_path)
    archive = run_packed(pack(small))
    assert not (tmp_path / "work").exists()
    assert TaskFolder(small.folder).end() is None
    unpack(small, archive)
    assert TaskFolder(small.folder).end() == Probed(3, 1)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["start-1"]


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_job_brings_its_state_back(tmp_path: Path) -> None:
    """The next attempt starts with it, on any machine."""
    small = job(tmp_path, "die-once")
    unpack(small, run_packed(pack(small)))
    assert TaskFolder(small.folder).end() is None
    attempt = next_attempt(small.folder)
    assert attempt is not None
    unpack(small, run_packed(pack(small)))
    assert TaskFolder(small.folder).end() == Probed(3, 2)


def test_a_stop_reaches_the_job(tmp_path: Path) -> None:
    """It saves its state and has no outcome."""
    small, stop = job(tmp_path, "wait"), threading.Event()
    threading.Timer(2.0, stop.set).start()
    unpack(small, run_packed(pack(small), stop.is_set))
    assert TaskFolder(small.folder).end() is None
    events, _ = TaskFolder(small.folder).events(0)
    assert [event.reason for event in events if isinstance(event, Failed)] == ["interrupted"]


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    """Nothing of it is kept."""
    small = job(tmp_path)
    with pytest.raises(ResultError, match="damaged"):
        unpack(small, b"not an archive")
    assert not (tmp_path / "work").exists()
    assert not list(small.folder.glob(".unpack-*"))


def test_results_replace_what_was_there(tmp_path: Path) -> None:
    """A folder of an earlier attempt does not mix with the new one."""
    small = job(tmp_path)
    archive = run_packed(pack(small))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "old").touch()
    unpack(small, archive)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["start-1"]
    shutil.rmtree(tmp_path / "work")
