"""Dispatch: every task gets one outcome, whatever happens to workers and submitters."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from oraclezoo.errors import InterruptedRunError
from oraclezoo.executors.dispatch import Dispatch, submitted_handles
from oraclezoo.executors.local import Local
from oraclezoo.executors.probe import Behavior, Probe, Probed
from oraclezoo.jobs import Failed
from oraclezoo.jobs.lease import VARIABLE, Observer, claim
from oraclezoo.jobs.task import Task, TaskFolder
from oraclezoo.testing.executors import Outcomes

POSIX = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and /proc")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    """The executor with four workers."""
    executor = Local(folder=tmp_path, workers=4)
    yield executor
    executor.close()


def tasks(folder: Path, *behaviors: Behavior) -> list[Task]:
    """Small jobs, numbered from 0."""
    return [
        Task(Probe(number, folder / "work" / str(number), behavior), f"job {number}")
        for number, behavior in enumerate(behaviors)
    ]


def run(folder: Path, executor: Local, listed: list[Task]) -> Outcomes:
    """Run tasks to their outcomes."""
    kept, dispatch = Outcomes(), Dispatch(folder / "tasks", executor)
    for task in listed:
        dispatch.add(task)
    assert dispatch.run(kept)
    return kept


@POSIX
def test_every_task_has_one_outcome(tmp_path: Path, local: Local) -> None:
    """A killed job is run again, a job that always dies fails, and the others go on."""
    kept = run(tmp_path, local, tasks(tmp_path, "die", "succeed", "fail", "die-once", "succeed"))
    assert all(len(ends) == 1 for ends in kept.ends.values())
    ends = {number: ends[0] for number, ends in kept.ends.items()}
    assert (ends[1], ends[4]) == (Probed(1, 1), Probed(4, 1))
    assert ends[3] == Probed(3, 2)
    assert isinstance(ends[0], Failed)
    assert ends[0].reason == "killed"
    assert isinstance(ends[2], Failed)
    assert ends[2].message == "job 2 fails on purpose"


def test_finished_tasks_are_not_run_again_but_failed_ones_are(tmp_path: Path, local: Local) -> None:
    """A later dispatch of the same tasks does what is missing."""
    listed = tasks(tmp_path, "succeed", "fail")
    run(tmp_path, local, listed)
    kept = run(tmp_path, local, listed)
    assert kept.ends[0] == [Probed(0, 1)]
    starts = [len(list((tmp_path / "work" / str(number)).iterdir())) for number in (0, 1)]
    assert starts == [1, 2]


def test_tasks_may_be_added_while_others_run(tmp_path: Path, local: Local) -> None:
    """As a compressed variant follows its training."""
    first, second = tasks(tmp_path, "succeed", "succeed")

    class Adding(Outcomes):
        def on_end(self, task: Task, last: object) -> None:
            super().on_end(task, last)  # type: ignore[arg-type]  # an event
            dispatch.add(second)

    kept, dispatch = Adding(), Dispatch(tmp_path / "tasks", local)
    dispatch.add(first)
    dispatch.run(kept)
    assert sorted(kept.ends) == [0, 1]


def test_a_stop_interrupts_jobs_and_keeps_their_state(tmp_path: Path, local: Local) -> None:
    """No process is left, and no outcome is recorded."""
    kept = Outcomes()
    dispatch = Dispatch(tmp_path / "tasks", local, lambda: len(kept.started) == 2)
    for task in tasks(tmp_path, "wait", "wait"):
        dispatch.add(task)
    with pytest.raises(InterruptedRunError):
        dispatch.run(kept)
    folders = [TaskFolder(path) for path in (tmp_path / "tasks").iterdir()]
    assert [folder.end() for folder in folders] == [None, None]
    assert [Observer(folder.path).live() for folder in folders] == [None, None]
    assert [folder.give_up() for folder in folders] == [None, None]


def test_a_task_that_someone_else_runs_is_waited_for(tmp_path: Path, local: Local) -> None:
    """Its outcome is taken when it is there; nothing is submitted."""
    (task,) = tasks(tmp_path, "succeed")
    folder = task.create(tmp_path / "tasks")
    held = claim(folder.path)
    assert held is not None

    def finish() -> None:
        time.sleep(1.0)
        folder.finish(Probed(0, 5))

    with held:
        thread = threading.Thread(target=finish)
        thread.start()
        kept = run(tmp_path, local, [task])
        thread.join()
    assert kept.ends[0] == [Probed(0, 5)]
    assert not (tmp_path / "work").exists()


def test_local_jobs_leave_no_handles(tmp_path: Path, local: Local) -> None:
    """They end with the process that submitted them."""
    run(tmp_path, local, tasks(tmp_path, "succeed"))
    assert list(submitted_handles(tmp_path / "tasks")) == []


SUBMIT = """
import sys
from pathlib import Path
from oraclezoo.executors.campaign import Campaign
from oraclezoo.executors.dispatch import Dispatch
from oraclezoo.executors.local import Local
from oraclezoo.executors.probe import Probe
from oraclezoo.jobs.task import Task

class Silent:
    def on_start(self, task): ...
    def on_event(self, task, event): ...
    def on_end(self, task, last): ...

folder, count = Path(sys.argv[1]), int(sys.argv[2])
campaign = Campaign(folder / "campaign")
with campaign.submitting(print) as should_stop:
    executor = Local(folder=folder, workers=3)
    dispatch = Dispatch(campaign.tasks, executor, should_stop)
    for number in range(count):
        dispatch.add(Task(Probe(number, folder / "work" / str(number)), f"job {number}"))
    dispatch.run(Silent())
    executor.close()
"""


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    with suppress(OSError):
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def with_kills(folder: Path, jobs: int, kills: int, seed: int) -> tuple[int, int]:
    """Run small jobs, and kill workers and submitters at random times.

    Returns how many workers and submitters were killed.
    """
    generator = random.Random(seed)
    killed_workers = killed_submitters = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", SUBMIT, str(folder), str(jobs)])
        while process.poll() is None:
            if killed_workers + killed_submitters >= kills:
                assert process.wait() == 0
                break
            time.sleep(generator.uniform(0, 0.5))
            workers = children(process.pid)
            if not workers:  # it has just started, or is about to end
                continue
            if generator.random() < 0.3:
                process.kill()
                process.wait()
                killed_submitters += 1
                continue
            with suppress(ProcessLookupError):
                os.kill(generator.choice(workers), signal.SIGKILL)
                killed_workers += 1
        if process.returncode == 0:
            return killed_workers, killed_submitters


def check_all_done_once(folder: Path, jobs: int) -> None:
    """Every job has its outcome; a job that finished was not started again."""
    for path in (folder / "campaign" / "tasks").iterdir():
        end = TaskFolder(path).end()
        assert isinstance(end, Probed), end
        starts = len(list((folder / "work" / str(end.number)).iterdir()))
        assert starts == end.starts
    assert len(list((folder / "campaign" / "tasks").iterdir())) == jobs


@POSIX
def test_random_kills_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and submitters are killed; every job ends, and none is done twice."""
    monkeypatch.setenv("ORACLEZOO_JOB_ATTEMPTS", "100")
    workers, submitters = with_kills(
        tmp_path, 30, 6, seed=int(os.environ.get("ORACLEZOO_TEST_SEED", "1"))
    )
    assert workers
    assert submitters
    check_all_done_once(tmp_path, 30)


@POSIX
@pytest.mark.full
def test_a_hundred_random_kills_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, a hundred times."""
    monkeypatch.setenv("ORACLEZOO_JOB_ATTEMPTS", "100")
    seed = int(os.environ.get("ORACLEZOO_TEST_SEED", "2"))
    print(f"ORACLEZOO_TEST_SEED={seed}")  # to repeat the run
    workers, submitters = with_kills(tmp_path, 400, 100, seed=seed)
    assert workers + submitters == 100
    check_all_done_once(tmp_path, 400)


@POSIX
def test_a_second_submitter_waits_and_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first lives, the second does nothing; afterwards it does what is missing."""
    monkeypatch.setenv(VARIABLE, "5")
    command = [sys.executable, "-u", "-c", SUBMIT, str(tmp_path), "60"]
    first = subprocess.Popen(command)
    until = time.monotonic() + 120
    while not (tmp_path / "work").exists() and time.monotonic() < until:
        time.sleep(0.05)
    second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    assert "waiting for another process" in second.stdout.readline()
    first.kill()
    first.wait()
    assert second.wait(timeout=300) == 0
    check_all_done_once(tmp_path, 60)
