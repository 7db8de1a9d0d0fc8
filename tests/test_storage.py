"""Atomic replacement of files, and locks between processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from oraclezoo import storage
from oraclezoo.errors import UsageError
from oraclezoo.storage import alone, exclusive, replacing, write_atomically

ABANDONED = ".target.0123456789abcdef.tmp"


def test_a_block_that_ends_well_replaces_the_file(tmp_path: Path) -> None:
    """The old content stays until the block ends; no temporary file remains."""
    path = tmp_path / "target"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        file.seek(0)
        assert file.read() == b"new"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_changes_nothing(error: type[BaseException], tmp_path: Path) -> None:
    """The file is unchanged and no temporary file remains."""
    path = tmp_path / "target"
    path.write_bytes(b"old")
    with pytest.raises(error):
        fail_writing(path, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def fail_writing(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as file:
        file.write(b"new")
        raise error


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    """The next write into the folder removes abandoned temporary files and nothing else."""
    kept = [".target.part", ".target.0123.tmp", "target.0123456789abcdef.tmp", ".target.lock"]
    for name in (ABANDONED, ".other.fedcba9876543210.tmp", *kept):
        (tmp_path / name).write_bytes(b"half")
    with replacing(tmp_path / "new") as file:
        file.write(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "new"])


WRITER = """
import sys
from pathlib import Path
from oraclezoo.storage import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("written", flush=True)
    sys.stdin.readline()
"""


def test_the_file_of_a_living_process_is_not(tmp_path: Path) -> None:
    """A running process keeps its temporary file at any age; after a kill it is removed."""
    command = [sys.executable, "-c", WRITER, tmp_path / "target"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        (temporary,) = tmp_path.iterdir()
        os.utime(temporary, (0, 0))
        with replacing(tmp_path / "other") as file:
            file.write(b"other")
        assert temporary.read_bytes() == b"half"
        writer.kill()
    with replacing(tmp_path / "other") as file:
        file.write(b"other")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_file_swept_before_its_lock_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep between creation and locking makes the writer create another file."""
    real, swept = fcntl.flock, []

    def flock(file: object, operation: int) -> None:
        if not swept:
            swept.extend(tmp_path.glob(".target.*.tmp"))
            swept[0].unlink()
        real(file, operation)  # type: ignore[arg-type]  # passes through

    monkeypatch.setattr(fcntl, "flock", flock)
    with replacing(tmp_path / "target") as file:
        file.write(b"new")
    assert len(swept) == 1
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.parametrize("system", ["locks fail", "no locks"])
def test_without_locks_a_days_age_tells(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without file locks, age decides whether a temporary file is abandoned."""

    def flock(*_: object) -> None:
        raise OSError(37, "No locks available")

    if system == "no locks":
        monkeypatch.setattr(storage, "fcntl", None)
    else:
        monkeypatch.setattr(fcntl, "flock", flock)
    young, old = tmp_path / ABANDONED, tmp_path / ".b.0123456789abcdef.tmp"
    young.touch()
    old.touch()
    os.utime(old, (0, time.time() - storage.STALE_S - 60))
    with replacing(tmp_path / "new") as file:
        file.write(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [ABANDONED, "new"]


def test_odd_things_of_such_a_name_are_left_alone(tmp_path: Path) -> None:
    """Folders, link targets and pipes with such a name are neither removed nor opened."""
    aim = tmp_path / "aim"
    aim.touch()
    (tmp_path / ".a.0123456789abcdef.tmp").symlink_to(aim)
    (tmp_path / ".b.0123456789abcdef.tmp").mkdir()
    os.mkfifo(tmp_path / ".c.0123456789abcdef.tmp")
    with replacing(tmp_path / "new") as file:
        file.write(b"new")
    assert aim.exists()
    assert (tmp_path / ".b.0123456789abcdef.tmp").is_dir()


def test_one_at_a_time(tmp_path: Path) -> None:
    """Threads wait for the lock of the same file and say so; other files are free."""
    inside, most, waited = 0, 0, []
    first_is_in = threading.Event()

    def work() -> None:
        nonlocal inside, most
        with alone(tmp_path / "target", lambda: (waited.append(1), go_on.set())):
            inside += 1
            most = max(most, inside)
            first_is_in.set()
            go_on.wait(30)
            inside -= 1

    go_on = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    first_is_in.wait(30)
    with alone(tmp_path / "other", lambda: waited.append(2)):
        pass
    for thread in threads:
        thread.join(30)
    assert most == 1
    assert 1 <= len(waited) <= 2
    assert 2 not in waited


def test_a_lock_ends_with_an_error(tmp_path: Path) -> None:
    """An exception releases the lock; a file system without locks raises OSError."""
    waited: list[int] = []
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"):
            fail_alone(tmp_path / "target", waited)
    assert waited == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        fail_alone(tmp_path / "file" / "target", waited)


def fail_alone(path: Path, waited: list[int]) -> None:
    with alone(path, lambda: waited.append(1)):
        raise ValueError("inside")


@pytest.mark.skipif(os.name == "nt", reason="processes cannot be probed on Windows")
@pytest.mark.parametrize(
    "write",
    [
        write_atomically,
        lambda path, content: storage.replace_files(path.parent, {path.name: content}),
    ],
    ids=["one file", "a model"],
)
def test_partial_files_of_version_0_1_are_removed_once_their_process_is_gone(
    tmp_path: Path, write: Callable[[Path, bytes], object]
) -> None:
    """They carry its number; one of a running process stays."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".run.json.{gone.pid}.partial").write_bytes(b"half")
    running = tmp_path / f".run.json.{os.getpid()}.partial"
    running.write_bytes(b"half")
    write(tmp_path / "new", b"new")
    assert sorted(tmp_path.iterdir()) == sorted([running, tmp_path / "new"])


HOLDER = """
import sys, time
from pathlib import Path
from oraclezoo.storage import exclusive
with exclusive(Path(sys.argv[1])):
    (Path(sys.argv[1]) / "held").touch()
    print("locked", flush=True)
    time.sleep(600)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that has locked the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    """The message names the folder; a killed process leaves no lock behind."""
    folder = tmp_path / "run"
    process = holder(folder)
    try:
        with pytest.raises(UsageError, match="run is in use by another process"), exclusive(folder):
            raise AssertionError("locked twice")
    finally:
        process.kill()
        process.wait()
    with exclusive(folder):
        (folder / "mine").touch()
    assert (folder / "mine").exists()


def test_a_thread_may_lock_a_folder_twice_and_another_may_not(tmp_path: Path) -> None:
    """Functions that lock may call each other."""
    refused: list[str] = []

    def other() -> None:
        try:
            with exclusive(tmp_path / "run"):
                pass
        except UsageError as error:
            refused.append(str(error))

    with exclusive(tmp_path / "run"), exclusive(tmp_path / "run"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    other()
    assert len(refused) == 1


def test_a_folder_that_was_locked_for_nothing_is_removed(tmp_path: Path) -> None:
    """A command that fails before it writes leaves no empty folder; other files stay."""
    with exclusive(tmp_path / "new" / "below"):
        pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    with exclusive(tmp_path / "empty"):
        pass
    assert list((tmp_path / "empty").iterdir()) == []
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "notes.txt").touch()
    with exclusive(tmp_path / "old"):
        pass
    assert (tmp_path / "old" / "notes.txt").exists()


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", range(12))
def test_a_save_that_is_killed_leaves_the_old_or_the_new_files(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never some of each, at whatever file operation it dies; the next save completes."""
    folder = tmp_path / "model"
    old = {"a": b"old a", "b": b"old b", "c": b"old c"}
    new = {name: content.replace(b"old", b"new") for name, content in old.items()}
    storage.replace_files(folder, old)
    (folder / "notes.txt").write_text("mine")
    with monkeypatch.context() as patch:
        count = iter(range(100))
        for name in ("mkdir", "rename", "replace", "rmdir"):
            patch.setattr(Path, name, dying(getattr(Path, name), count, step))
        patch.setattr(storage, "settle", dying(storage.settle, count, step))
        patch.setattr(storage.shutil, "rmtree", lambda *_, **__: None)  # a dead process cleans not
        with suppress(Killed):
            storage.replace_files(folder, new)
    content = {name: storage.current(folder, name).read_bytes() for name in old}
    assert content in (old, new)
    storage.replace_files(folder, new)
    assert {path.name for path in folder.iterdir()} == {*old, "notes.txt"}
    assert {name: (folder / name).read_bytes() for name in old} == new


def dying(function: Callable[..., Any], count: Iterator[int], step: int) -> Callable[..., Any]:
    """The function, which raises at the given call."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(count) == step:
            raise Killed
        return function(*args, **kwargs)

    return call


class FullDisk:
    """A file on a full disk: writes fail as the system fails them, without a file name."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, *_: object) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", sorted(storage.DISK_ERRORS))
def test_errors_of_the_disk_name_the_file(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way a file is written; the old content stays."""
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", FullDisk(number))
    writes: list[Callable[[], Any]] = [
        lambda: write_atomically(path, b"new"),
        lambda: storage.replace_files(tmp_path, {"kept": b"new"}),
    ]
    for write in writes:
        with pytest.raises(OSError, match=str(path)) as caught:
            write()
        assert caught.value.errno == number
        assert path.read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_lines_that_do_not_fit_name_their_file(tmp_path: Path) -> None:
    """Journals, metrics and the ledger, each a link to a device that is always full."""
    from oraclezoo.artifacts import jsonl
    from oraclezoo.ranking import ledger

    journal = tmp_path / "journal.jsonl"
    ledger_file = tmp_path / ledger.FILE
    for path in (journal, ledger_file):
        path.symlink_to("/dev/full")
    with pytest.raises(OSError, match=str(journal)):
        jsonl.append(journal, {"number": 1})
    with pytest.raises(OSError, match=str(ledger_file)):
        ledger.record(tmp_path, track="glyphs", data_key="0", recipe_hash="1")
