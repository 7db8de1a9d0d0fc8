"""kill -9 during a conversion: the old data set, the new one or none, and it resumes."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from oraclezoo.data.tracks import idx
from oraclezoo.errors import DataError

KILLS = int(os.environ.get("ORACLEZOO_TEST_KILLS", "6"))
"""How many in the full suite; each takes about two seconds."""


def command(source: Path, out: Path, *more: str) -> list[str]:
    program = [sys.executable, "-m", "oraclezoo", "data", "convert"]
    return [*program, str(source), "--out", str(out), "--jobs", "2", *more]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file() and path.name != "report.json"
    }


def children(pid: int) -> set[int]:
    """Return the descendants of a process, where the system reports them."""
    actual: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        if parent == pid:
            actual |= {int(path.parent.name)} | children(int(path.parent.name))
    return actual


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, pytest.param(KILLS, marks=pytest.mark.full)])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_kill_at_random_moments(
    pool: Path, tmp_path: Path, write: Callable[..., Path], kills: int
) -> None:
    """Each file is absent, old or complete; a data set opens whole or not at all; no process stays.

    By turns two states of the source are converted into one folder: from nothing, where most of
    the time is spent preparing, and from kept images, where it is spent writing. The moments are
    drawn over the time that the run before took.
    """
    other = tmp_path / "other"
    shutil.copytree(pool, other, copy_function=shutil.copy2)
    for number in range(40):
        write(other / "aa" / f"{number}.png", 7000 + number)
    states = (pool, other)
    wanted = []
    for source in states:
        subprocess.run(command(source, tmp_path / source.name.upper()), check=True)
        wanted.append(digests(tmp_path / source.name.upper()))
    out = tmp_path / "out"
    subprocess.run(command(pool, out), check=True)
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    lasts = {"--overwrite": 1.5, "kept": 1.0}
    seen = set()
    for number in range(kills):
        turn, how = number % 2, "--overwrite" if number % 4 < 2 else "kept"
        source, target = states[1 - turn], wanted[1 - turn]
        delay = draw.uniform(0, lasts[how])
        more = ["--overwrite"] if how == "--overwrite" else []
        process = subprocess.Popen(
            command(source, out, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        below = children(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        where = f"seed {seed}, kill {number} after {delay:.3f} s, {how}"
        now = digests(out)
        for name, digest in now.items():
            assert digest in {state.get(name) for state in wanted}, f"{name}: {where}"
        try:
            dataset = idx(data_dir=out)
            for split in ("train", "validation", "test"):
                dataset.split(split)
        except DataError:
            seen.add("none")
        else:
            assert now in wanted, where
            seen.add("new" if now == target else "old")
        begun = time.monotonic()
        done = subprocess.run(command(source, out), capture_output=True, text=True)
        assert done.returncode == 0, f"{where}\n{done.stderr}"
        lasts["kept"] = time.monotonic() - begun
        assert digests(out) == target, where
        assert not list(out.rglob("*.tmp")), where
        assert not (out / ".convert" / "staged").exists(), where
        deadline = time.monotonic() + 60
        while any(map(is_running, below)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(is_running, below)), f"processes stay: {where}"
    print(f"{kills} kills, seed {seed}; the folder held: {', '.join(sorted(seen))}")
