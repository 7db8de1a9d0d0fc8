"""Jobs on a real Slurm cluster of two nodes, without accounting."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from oraclezoo_slurm.executor import Handle

from oraclezoo.contracts import Executor, Job
from oraclezoo.errors import OracleZooError, UsageError
from oraclezoo.executors.probe import Behavior, Probe, Probed
from oraclezoo.jobs.messages import Failed
from oraclezoo.jobs.task import Task, TaskFolder
from oraclezoo.plugins.registry import build_registry

pytestmark = [pytest.mark.slow]
NUMBERS = itertools.count()


def create(folder: Path, **options: Any) -> Executor:
    folder.mkdir(exist_ok=True)
    options = {"poll": 0.5, **options}
    executor: Executor = build_registry().create("executor", "slurm", folder=folder, **options)
    return executor


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
        time.sleep(0.5)


def wait_for_end(executor: Executor, handles: Sequence[str]) -> None:
    wait(lambda: set(executor.states(handles).values()) == {"ended"})


@pytest.mark.full
def test_outcomes(cluster: Cluster, tmp_path: Path) -> None:
    """In groups of two, jobs succeed, fail, and die; each in a separate process."""
    behaviors: tuple[Behavior, ...] = ("succeed", "die", "fail", "succeed", "succeed")
    pairs = [probe(tmp_path, behavior) for behavior in behaviors]
    executor = create(tmp_path / "executor", group=2)
    handles = executor.submit([job for job, _ in pairs])
    assert len({Handle.parse(handle).slurm_job for handle in handles}) == 3
    wait_for_end(executor, handles)
    ends = [folder.end() for _, folder in pairs]
    assert [type(end) for end in ends] == [Probed, type(None), Failed, Probed, Probed]
    assert [starts(job) for job, _ in pairs] == [1] * 5


@pytest.mark.full
def test_another_process_sees_and_cancels_the_jobs(cluster: Cluster, tmp_path: Path) -> None:
    """Handles are valid for another executor; a running task is interrupted, queued ones go."""
    pairs = [probe(tmp_path, "wait") for _ in range(5)]
    first = create(tmp_path / "executor", group=2)
    handles = first.submit([job for job, _ in pairs])
    first.close()
    second = create(tmp_path / "executor")
    wait(lambda: starts(pairs[0][0]) == 1 and starts(pairs[2][0]) == 1)
    states = second.states(handles)
    assert [states[handle] for handle in handles[:4]] == ["running", "waiting"] * 2
    second.cancel(handles)
    wait_for_end(second, handles)
    assert [starts(job) for job, _ in pairs] == [1, 0, 1, 0, 0]
    assert all(folder.end() is None for _, folder in pairs)
    attempts = [attempt for _, folder in pairs for attempt in folder.attempts()]
    assert [attempt.beats()[-1:] for attempt in attempts] == [b"!", b"!"]  # released, not killed


@pytest.mark.full
def test_one_cancelled_task_of_a_group(cluster: Cluster, tmp_path: Path) -> None:
    """The other tasks of its Slurm job run."""
    pairs = [probe(tmp_path, "wait"), probe(tmp_path), probe(tmp_path)]
    executor = create(tmp_path / "executor", group=3)
    handles = executor.submit([job for job, _ in pairs])
    wait(lambda: starts(pairs[0][0]) == 1)
    executor.cancel(handles[:2])
    wait_for_end(executor, handles)
    assert [type(folder.end()) for _, folder in pairs] == [type(None), type(None), Probed]


@pytest.mark.full
def test_a_lost_node_requeues_its_element_alone(cluster: Cluster, tmp_path: Path) -> None:
    """Tasks of a node that dies start again on the other one, and those of the other one do not."""
    pairs = [probe(tmp_path, "wait") for _ in range(2)]
    executor = create(tmp_path / "executor")
    handles = executor.submit([job for job, _ in pairs])
    wait(lambda: all(starts(job) for job, _ in pairs))
    slurm_jobs = [Handle.parse(handle).slurm_job for handle in handles]
    nodes = [cluster.run("squeue", "-h", "-o", "%N", "-j", name).strip() for name in slurm_jobs]
    assert sorted(nodes) == cluster.nodes
    lost = nodes.index(cluster.nodes[1])
    cluster.take_down(cluster.nodes[1])
    try:
        wait(lambda: executor.states(handles)[handles[lost]] == "waiting")
        executor.cancel([handles[1 - lost]])  # makes room
        wait(lambda: starts(pairs[lost][0]) == 2)
        assert starts(pairs[1 - lost][0]) == 1
        executor.cancel(handles)
        wait_for_end(executor, handles)
    finally:
        cluster.start_node(cluster.nodes[1])
        wait(lambda: set(cluster.states().values()) == {"idle"})


@pytest.mark.full
def test_the_time_limit_saves_and_requeues_one_element(cluster: Cluster, tmp_path: Path) -> None:
    """At the signal before the limit, a task saves its state; its element starts again."""
    pairs = [probe(tmp_path, "wait"), probe(tmp_path)]
    executor = create(tmp_path / "executor", time=1, signal_s=45)
    handles = executor.submit([job for job, _ in pairs])
    (job, folder), (other, _) = pairs
    wait(lambda: starts(job) == 2, "the task was not requeued")
    first = folder.attempts()[0]
    assert first.beats()[-1:] == b"!"  # it has saved its state
    assert starts(other) == 1
    executor.cancel(handles)
    wait_for_end(executor, handles)


@pytest.mark.full
def test_options_reach_sbatch(cluster: Cluster, tmp_path: Path) -> None:
    """Options become flags and lines of the script, and an exclusive executor says so."""
    job, folder = probe(tmp_path)
    marker = tmp_path / "setup"
    options = {"partition": "main", "time": 7, "exclusive": True, "sbatch": "--nice=5"}
    executor = create(tmp_path / "executor", setup=f"touch {marker}", **options)
    assert executor.exclusive
    assert not create(tmp_path / "other").exclusive
    wait_for_end(executor, executor.submit([job]))
    assert isinstance(folder.end(), Probed)
    assert marker.exists()
    (script,) = (tmp_path / "executor").glob("slurm/*_submission.sh")
    lines = script.read_text().splitlines()
    for flag in ("partition=main", "time=7", "exclusive", "nice=5", "requeue", "cpus-per-task=1"):
        assert f"#SBATCH --{flag}" in lines


@pytest.mark.full
def test_refusals(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of Slurm reach the user in one line; so does a controller that does not answer."""
    job, _ = probe(tmp_path)
    with pytest.raises(OracleZooError, match=r"sbatch failed: .*[Ii]nvalid partition") as refused:
        create(tmp_path / "a", partition="elsewhere").submit([job])
    assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match=r"executor.signal_s is 90; .* below .* 60 s"):
        create(tmp_path / "b", time=1)
    executor = create(tmp_path / "c")
    (handle,) = executor.submit([job])
    wait_for_end(executor, [handle])
    monkeypatch.setattr("oraclezoo_slurm.executor.ANSWER_S", 1)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "missing.conf"))
    with pytest.raises(OracleZooError, match="squeue failed: "):
        executor.states([handle])


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Slurm's commands, the message says where to run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs the command sbatch: run this on a login node"):
        create(tmp_path / "executor")


def test_listing_does_not_import_submitit() -> None:
    """Listing executors imports neither submitit nor torch."""
    code = (
        "import sys; from oraclezoo.plugins.registry import build_registry; "
        "assert ('executor', 'oraclezoo-slurm:slurm') in build_registry(); "
        "assert 'submitit' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
