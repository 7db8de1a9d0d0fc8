"""kill -9 in the middle of fetching and generating: nothing half, and the next command works.

ORACLEZOO_TEST_KILLS says how often each is killed (4), ORACLEZOO_TEST_SEED which moments are drawn.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from helpers.file_server import FileServer
from oraclezoo.data.upstream import FILES

KILLS = int(os.environ.get("ORACLEZOO_TEST_KILLS", "4"))

FETCH = """
import json, sys
from oraclezoo.cli import main
from oraclezoo.data import upstream
for name, kind, digest in json.loads(sys.argv.pop(1)):
    upstream.FILES[name] = upstream.UpstreamFile(name, kind, digest, 100_000, None)
main()
"""


def run(command: Sequence[str | Path], environment: dict[str, str]) -> float:
    """Run ``command``, which must succeed; return its duration in seconds."""
    start = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - start


def kill_after(delay_s: float, command: Sequence[str | Path], environment: dict[str, str]) -> bool:
    """Start ``command`` and kill it; return False if it finished before."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.wait(delay_s) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def kill_often(
    command: Sequence[str | Path],
    environment: dict[str, str],
    duration_s: float,
    prepare: Callable[[random.Random], None],
    check: Callable[[bool], None],
) -> None:
    """KILLS times at random moments: no to three kills in a row, then the command in peace.

    ``prepare`` makes the state before, ``check`` looks at the one after each; whether in peace.
    """
    seed = int(os.environ.get("ORACLEZOO_TEST_SEED", random.SystemRandom().randrange(10**6)))
    print(f"ORACLEZOO_TEST_SEED={seed}")  # shown when the test fails
    chance, kills = random.Random(seed), 0
    while kills < KILLS:
        prepare(chance)
        for _ in range(chance.randint(1, 3)):
            kills += kill_after(chance.uniform(0, duration_s), command, environment)
            check(False)
        run(command, environment)
        check(True)
    print(f"{kills} kills within {duration_s:.2f} s")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hidden(folder: Path) -> set[str]:
    """Return the suffixes of the hidden files."""
    return {path.name.rpartition(".")[2] for path in folder.glob(".*")}


@pytest.mark.full
def test_fetching_outlives_kills(server: FileServer, tmp_path: Path) -> None:
    """Each file is absent, the old one or complete; the next call finishes."""
    server.chunk_s = 0.004
    records = [(file.name, file.kind, file.digest) for file in FILES.values()]
    code = [sys.executable, "-c", FETCH, json.dumps(records)]
    folder = tmp_path / "data"
    command = [*code, "data", "fetch", "--url", server.url, "--out", folder]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    duration_s = run(command, environment)
    old = b"of another day"

    def prepare(chance: random.Random) -> None:
        for path in folder.iterdir():
            path.unlink()
        for name in FILES:
            if chance.random() < 0.3:
                (folder / name).write_bytes(old)

    def check(in_peace: bool) -> None:
        for name, content in server.files.items():
            path = folder / name
            allowed = (content,) if in_peace else (content, old)
            assert in_peace <= path.exists()
            assert not path.exists() or path.read_bytes() in allowed
        assert hidden(folder) <= ({"lock"} if in_peace else {"lock", "tmp"})

    kill_often(command, environment, duration_s, prepare, check)


@pytest.mark.full
def test_generating_outlives_kills(tmp_path: Path) -> None:
    """Each cache file is absent, the old one or complete, and images match their labels."""
    sheet = tmp_path / "sheet.png"
    command = [sys.executable, "-m", "oraclezoo", "data", "preview", "glyphs-3k", "--out", sheet]
    command.append("--overwrite")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    duration_s = run(command, environment)
    folder = tmp_path / "oraclezoo" / "generated"
    complete = {path.name: sha256(path) for path in folder.glob("[!.]*")}
    assert len(complete) == 3
    picture, old = sha256(sheet), b"of another day"

    def prepare(chance: random.Random) -> None:
        for path in folder.iterdir():
            path.unlink()
        for name in complete:
            if chance.random() < 0.3:
                (folder / name).write_bytes(old)

    def check(in_peace: bool) -> None:
        allowed = {hashlib.sha256(old).hexdigest()}
        for path in folder.glob("[!.]*"):
            assert sha256(path) in ({complete[path.name]} | (set() if in_peace else allowed))
        assert hidden(folder) <= ({"lock"} if in_peace else {"lock", "tmp"})
        if in_peace:
            assert {path.name for path in folder.glob("[!.]*")} == set(complete)
            assert sha256(sheet) == picture

    kill_often(command, environment, duration_s, prepare, check)


STEPS = """
import json, os, shutil, sys
from pathlib import Path
from oraclezoo.data import fetch, generated, glyphs, upstream

url, cache, *records = sys.argv[1:]
folder = Path(cache, "oraclezoo", "generated" if url == "generate" else "oracle-mnist")
os.environ["XDG_CACHE_HOME"] = cache
for record in records:
    name, kind, digest = record.split()
    upstream.FILES[name] = upstream.UpstreamFile(name, kind, digest, 100_000, None)
os.environ["NO_PROXY"] = "127.0.0.1"
parts = dict.fromkeys(("train", "validation", "test"), generated.Part(7, (2,) * 10))
steps = {"open", "os.rename", "os.remove", "os.mkdir", "os.listdir", "fcntl.flock"}
left = 10**9

def count(event, arguments):
    global left
    if event in steps:
        left -= 1
        if left < 0:
            os._exit(9)

def act():
    if url == "generate":
        generated.open_generated(parts, None).split("train")
    else:
        fetch.fetch([record.split()[0] for record in records], url=url)

def child(step):
    global left
    number = os.fork()
    if not number:
        left = step
        act()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    files = sorted(path for path in folder.glob("*"))
    print(json.dumps([status, {p.name: upstream.digest(p) for p in files}]), flush=True)
    return status

act()  # all that is imported on the way is imported now
shutil.rmtree(folder)
sys.addaudithook(count)
child(10**9)
for step in range(1000):
    shutil.rmtree(folder)
    if not child(step):
        break
    child(10**9)
"""


@pytest.mark.parametrize("what", ["fetch", "generate"])
def test_a_kill_at_any_step_leaves_no_half_file(
    what: str, server: FileServer, tmp_path: Path
) -> None:
    """Kill before each open, lock, rename and remove call in turn, then run once without."""
    url = server.url if what == "fetch" else what
    records = [f"{file.name} {file.kind} {file.digest}" for file in list(FILES.values())[:2]]
    command = [sys.executable, "-c", STEPS, url, tmp_path, *records]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    peace, *states = [json.loads(line) for line in done.stdout.splitlines()]
    assert peace[0] == 0
    complete = {name: digest for name, digest in peace[1].items() if not name.startswith(".")}
    assert len(complete) == (2 if what == "fetch" else 3)
    assert states.pop() == peace  # the last one had fewer steps than were left to it
    print(f"{len(states) // 2} steps")
    assert len(states) > 30
    for killed, after in zip(states[::2], states[1::2], strict=True):
        assert killed[0] == 9
        assert after == peace
        files = {name: digest for name, digest in killed[1].items() if not name.startswith(".")}
        assert files.items() <= complete.items()
