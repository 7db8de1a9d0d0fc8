"""Jobs on a real Ray cluster of two nodes, with and without a shared folder."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nodes import Nodes
from oraclezoo_ray.task import Archive

from oraclezoo.contracts import Executor, Job
from oraclezoo.errors import OracleZooError, UsageError
from oraclezoo.executors.probe import Behavior, Probe, Probed
from oraclezoo.jobs.messages import Failed
from oraclezoo.jobs.task import Task, TaskFolder
from oraclezoo.plugins.registry import build_registry

pytestmark = [pytest.mark.slow]
NUMBERS = itertools.count()


@contextmanager
def create(folder: Path, **options: Any) -> Iterator[Executor]:
    folder.mkdir(exist_ok=True)
    executor: Executor = build_registry().create("executor", "ray", folder=folder, **options)
    try:
        yield executor
    finally:
        executor.close()


def probe(root: Path, behavior: Behavior = "succeed") -> tuple[Job, TaskFolder]:
    """Return a job with a small task, and the task's folder."""
    number = next(NUMBERS)
    runs = root / "runs" / str(number)
    task = Task(Probe(number, runs, behavior), f"probe {number}", writes=(runs,))
    folder = task.create(root / "tasks")
    command = (sys.executable, "-m", "oraclezoo.jobs", str(folder.path))
    return Job(folder.id, task.label, folder.path, command, writes=(runs,)), folder


def starts(job: Job) -> int:
    return len(list(job.writes[0].glob("start-*")))


def wait(condition: Callable[[], bool], problem: str = "nothing happened") -> None:
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until, problem
        time.sleep(0.2)


def wait_for_end(executor: Executor, handles: Sequence[str]) -> None:
    wait(lambda: set(executor.states(handles).values()) == {"ended"})


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "shipped"])
def test_outcomes(nodes: Nodes, tmp_path: Path, shared: bool) -> None:
    """Jobs succeed, fail, and die, and what they write arrives."""
    behaviors: tuple[Behavior, ...] = ("succeed", "die", "fail", "succeed")
    pairs = [probe(tmp_path, behavior) for behavior in behaviors]
    with create(tmp_path / "executor", address=nodes.address, shared=shared) as executor:
        assert executor.shared_folder is shared
        handles = executor.submit([job for job, _ in pairs])
        wait_for_end(executor, handles)
        assert executor.states(["of-another-process"]) == {"of-another-process": "unknown"}
    ends = [folder.end() for _, folder in pairs]
    assert [type(end) for end in ends] == [Probed, type(None), Failed, Probed]
    assert [starts(job) for job, _ in pairs] == [1] * 4


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "shipped"])
def test_cancelled_tasks_save_their_state(nodes: Nodes, tmp_path: Path, shared: bool) -> None:
    """Running tasks are interrupted, and their files arrive; queued ones never start."""
    pairs = [probe(tmp_path, "wait") for _ in range(4)]
    with create(tmp_path / "executor", address=nodes.address, shared=shared) as executor:
        handles = executor.submit([job for job, _ in pairs])
        wait(lambda: list(executor.states(handles).values()).count("running") == 2)
        if shared:
            wait(lambda: sum(starts(job) for job, _ in pairs) == 2)
        time.sleep(5)  # without a shared folder, the processes most probably run by then
        states = list(executor.states(handles).values())
        assert states.count("running") == 2  # tasks keep their CPUs
        executor.cancel(handles)
        wait_for_end(executor, handles)
    assert all(folder.end() is None for _, folder in pairs)
    assert sum(starts(job) for job, _ in pairs) <= 2
    if shared:
        attempts = [attempt for _, folder in pairs for attempt in folder.attempts()]
        assert [attempt.beats()[-1:] for attempt in attempts] == [b"!", b"!"]  # not killed


def test_closing_cancels(nodes: Nodes, tmp_path: Path) -> None:
    """An executor that is closed leaves no task behind."""
    job, folder = probe(tmp_path, "wait")
    with create(tmp_path / "executor", address=nodes.address) as executor:
        executor.submit([job])
        wait(lambda: starts(job) == 1)
    (attempt,) = folder.attempts()
    assert attempt.beats().endswith(b"!")


def test_a_folder_that_nodes_do_not_see(nodes: Nodes, tmp_path: Path) -> None:
    """The task fails for good, with a message that names the remedy."""
    job, folder = probe(tmp_path)
    (folder.path / "request.json").unlink()
    with create(tmp_path / "executor", address=nodes.address) as executor:
        wait_for_end(executor, executor.submit([job]))
    end = folder.end()
    assert isinstance(end, Failed)
    assert "does not see" in end.message
    assert "--executor-option shared=false" in end.message
    assert "\n" not in end.message


def test_files_above_the_limit(nodes: Nodes, tmp_path: Path) -> None:
    """What is too large to be copied is refused, and the message says how large it is."""
    job, folder = probe(tmp_path)
    job.writes[0].mkdir(parents=True)
    (job.writes[0] / "large").write_bytes(os.urandom(3 << 20))
    options = {"address": nodes.address, "shared": False, "ship_mb": 2}
    with create(tmp_path / "executor", **options) as executor:
        wait_for_end(executor, executor.submit([job]))
    end = folder.end()
    assert isinstance(end, Failed)
    assert "above the limit of 2 MB" in end.message
    assert "ship_mb=4" in end.message


def test_digests_are_checked() -> None:
    """An archive that differs from what was sent is refused."""
    sent = Archive.of(b"content", 1, "a task")
    assert sent.verified() == b"content"
    with pytest.raises(ValueError, match="has the digest"):
        Archive(b"contents", sent.sha256).verified()


def test_a_cluster_that_is_started_here(tmp_path: Path) -> None:
    """It runs a task, asks for a random token, and sends no usage reports."""
    code = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ray import create, probe, wait_for_end
root = Path(sys.argv[1])
job, folder = probe(root)
with create(root / "executor", workers=1) as executor:
    wait_for_end(executor, executor.submit([job]))
    from ray._common.usage.usage_lib import usage_stats_enabled
    assert not usage_stats_enabled()
    print(type(folder.end()).__name__, os.environ["RAY_AUTH_MODE"])
"""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Probed", "token"]


def test_refusals(tmp_path: Path) -> None:
    """Options that contradict each other, and an address without a cluster, give one line."""
    with pytest.raises(UsageError, match="not for one at an address"):
        build_registry().create("executor", "ray", folder=tmp_path, address="auto", workers=2)
    with pytest.raises(OracleZooError, match=r"no Ray cluster at 127.0.0.1:1: ") as refused:
        build_registry().create("executor", "ray", folder=tmp_path, address="127.0.0.1:1")
    assert "\n" not in str(refused.value)


def test_listing_does_not_import_ray() -> None:
    """Listing executors imports neither Ray nor torch."""
    code = (
        "import sys; from oraclezoo.plugins.registry import build_registry; "
        "assert ('executor', 'oraclezoo-ray:ray') in build_registry(); "
        "assert 'ray' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
