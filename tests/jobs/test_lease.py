"""Leases: one live owner at a time, dead ones are superseded, clocks are not compared."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from oraclezoo.codec import encode
from oraclezoo.jobs.lease import (
    BEAT,
    VARIABLE,
    Attempt,
    Observer,
    Owner,
    attempts,
    claim,
    write_once,
)

HOLD = """
import sys, time
from pathlib import Path
from oraclezoo.jobs.lease import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")


def holder(folder: Path) -> subprocess.Popen[str]:
    """Start another process that owns the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def elsewhere(folder: Path) -> Attempt:
    """Let a process of another machine own the folder."""
    attempt = Attempt(folder, 1)
    write_once(attempt.path, json.dumps(encode(Owner("token", "another-machine"))).encode())
    attempt.mark(BEAT)
    return attempt


def beating(attempt: Attempt, until: Callable[[], bool]) -> threading.Thread:
    """Append beats from a thread."""

    def beat() -> None:
        while not until():
            attempt.mark(BEAT)
            time.sleep(0.05)

    thread = threading.Thread(target=beat)
    thread.start()
    return thread


def test_a_live_owner_keeps_others_out(tmp_path: Path) -> None:
    """A second claim ends without a lease; after the release, the next one succeeds."""
    held = claim(tmp_path)
    assert held is not None
    with held:
        assert claim(tmp_path) is None
        assert not held.lost
    again = claim(tmp_path)
    assert again is not None
    with again:
        assert [attempt.number for attempt in attempts(tmp_path)] == [1, 2]


def test_a_killed_owner_is_superseded_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is known to be dead, however long the lease is."""
    monkeypatch.setenv(VARIABLE, "1000000")
    process = holder(tmp_path)
    assert Observer(tmp_path).live() is not None
    process.kill()
    process.wait()
    held = claim(tmp_path)
    assert held is not None
    with held:
        assert attempts(tmp_path)[0].beats().endswith(b"x")


def test_a_silent_owner_elsewhere_is_superseded_after_the_lease(tmp_path: Path) -> None:
    """Only beats tell whether a process of another machine lives."""
    attempt = elsewhere(tmp_path)
    observer = Observer(tmp_path)
    assert observer.live() == attempt
    held = claim(tmp_path)
    assert held is not None
    with held:
        assert attempt.beats() == b".x"


def test_a_beating_owner_elsewhere_is_not(tmp_path: Path) -> None:
    """A changing number of beats is life, whatever the clocks of the machines say."""
    attempt, done = elsewhere(tmp_path), threading.Event()
    thread = beating(attempt, done.is_set)
    assert claim(tmp_path) is None
    done.set()
    thread.join()


def test_a_superseded_owner_notices(tmp_path: Path) -> None:
    """A process that was suspended and declared dead must not go on."""
    held = claim(tmp_path)
    assert held is not None
    with held:
        write_once(Attempt(tmp_path, 2).path, b"{}")
        until = time.monotonic() + 60
        while not held.lost and time.monotonic() < until:
            time.sleep(0.05)
        assert held.lost


def test_of_many_claims_one_succeeds(tmp_path: Path) -> None:
    """The winner is decided by the file system."""
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(write_once(Attempt(tmp_path, 1).path, b"{}"))
        )
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 19 + [True]
    assert [path.name for path in tmp_path.iterdir()] == ["attempt-1.json"]
