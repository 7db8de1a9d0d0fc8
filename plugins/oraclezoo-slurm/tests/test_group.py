"""Groups of tasks, without Slurm: real processes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from oraclezoo_slurm.executor import Handle, flags
from oraclezoo_slurm.group import Group, Markers

from oraclezoo.errors import UsageError

NAP = "import sys, time, pathlib; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
STATEFUL = """
import pathlib, signal, sys, time
started, saved = map(pathlib.Path, sys.argv[1:])
def stop(*_):
    time.sleep(1)
    saved.touch()
    sys.exit(130)
if saved.exists():
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
import os
os.kill(os.getpid(), signal.SIGUSR2)  # Slurm sends it to all processes of a job
started.touch()
time.sleep(600)
"""
RUN = """
import pathlib, pickle, signal, sys
from oraclezoo_slurm.group import Group
group = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
def handler(*_):
    again = group.checkpoint().function
    pathlib.Path(sys.argv[1]).write_bytes(pickle.dumps(again))
    sys.exit(7)
signal.signal(signal.SIGUSR2, handler)
group()
"""


def group(folder: Path, *commands: tuple[str, ...]) -> tuple[Group, Markers]:
    markers = Markers(folder)
    markers.create(len(commands))
    return Group(commands, str(folder)), markers


def python(code: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *map(str, arguments))


def appended(path: Path, text: str) -> tuple[str, ...]:
    return python("import sys; open(sys.argv[1], 'a').write(sys.argv[2])", path, text)


def wait_for(path: Path) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < until, f"{path} has not appeared"
        time.sleep(0.05)


def start(pickled: Path) -> subprocess.Popen[bytes]:
    """Run a pickled group in a process, as submitit does."""
    return subprocess.Popen([sys.executable, "-c", RUN, str(pickled)])


def pickled(value: Group, path: Path) -> Path:
    import pickle

    path.write_bytes(pickle.dumps(value))
    return path


def test_tasks_run_in_order_and_only_once(tmp_path: Path) -> None:
    """A group that runs again skips tasks that have ended, also those that failed."""
    log = tmp_path / "log"
    failing = python("import sys; open(sys.argv[1], 'a').write('b'); sys.exit(1)", log)
    runner, markers = group(tmp_path / "g", appended(log, "a"), failing, appended(log, "c"))
    value = pickled(runner, tmp_path / "group.pkl")
    assert start(value).wait(120) == 0
    assert start(value).wait(120) == 0
    assert log.read_text() == "abc"
    assert markers.unfinished() == []


def test_the_signal_before_the_time_limit_saves_the_state(tmp_path: Path) -> None:
    """The running task saves its state, later ones do not start; the requeued group continues."""
    started, saved, log = tmp_path / "started", tmp_path / "saved", tmp_path / "log"
    runner, markers = group(tmp_path / "g", python(STATEFUL, started, saved), appended(log, "next"))
    value = pickled(runner, tmp_path / "group.pkl")
    process = start(value)
    wait_for(started)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(120) == 7
    assert saved.exists()
    assert markers.unfinished() == [0, 1]
    assert not log.exists()
    assert start(value).wait(120) == 0
    assert log.read_text() == "next"


def test_preemption_stops_the_group(tmp_path: Path) -> None:
    """After SIGTERM, the running task saves its state, and the group does not count it as ended."""
    started, saved, log = tmp_path / "started", tmp_path / "saved", tmp_path / "log"
    runner, markers = group(tmp_path / "g", python(STATEFUL, started, saved), appended(log, "next"))
    process = start(pickled(runner, tmp_path / "group.pkl"))
    wait_for(started)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    assert saved.exists()
    assert not log.exists()
    assert markers.unfinished() == [0, 1]


def test_cancelled_tasks_end_and_others_run(tmp_path: Path) -> None:
    """A cancelled task does not start, or stops if it runs; the group continues."""
    started, log = tmp_path / "started", tmp_path / "log"
    runner, markers = group(
        tmp_path / "g", python(NAP, started), appended(log, "b"), appended(log, "c")
    )
    markers.cancel(1)
    process = start(pickled(runner, tmp_path / "group.pkl"))
    wait_for(started)
    markers.cancel(0)
    assert process.wait(120) == 0
    assert log.read_text() == "c"
    assert all(markers.is_ended(index) for index in range(3))


def test_threads_follow_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task computes on the cores of its Slurm job, unless the user says otherwise."""
    code = "import os, sys; open(sys.argv[1], 'a').write(os.environ['OMP_NUM_THREADS'])"
    log = tmp_path / "log"
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    for name, user in (("a", None), ("b", "5")):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if user:
            monkeypatch.setenv("OMP_NUM_THREADS", user)
        runner, _ = group(tmp_path / name, python(code, log))
        assert start(pickled(runner, tmp_path / f"{name}.pkl")).wait(120) == 0
    assert log.read_text() == "35"
    assert os.environ["OMP_NUM_THREADS"] == "5"


def test_handles_are_text() -> None:
    """A handle survives its text; another executor's handle is refused."""
    handle = Handle("17_3", "ab12", 4)
    assert Handle.parse(str(handle)) == handle
    for text in ("1234-5", "17/ab", "17/ab/x", ""):
        with pytest.raises(UsageError, match="not a job of the executor 'slurm'"):
            Handle.parse(text)


def test_flags_of_sbatch() -> None:
    """Long flags with and without values pass; the executor's own flags and other text do not."""
    assert flags("--qos=low --comment='two words' --spread-job") == {
        "qos": "low",
        "comment": "two words",
        "spread-job": True,
    }
    with pytest.raises(UsageError, match="write long flags"):
        flags("-p main")
    with pytest.raises(UsageError, match="--array, which the executor sets"):
        flags("--array=0-3")
