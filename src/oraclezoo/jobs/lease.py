"""Leases: at most one live owner of a folder at a time, also on a folder that machines share.

Each attempt to own the folder is a file ``attempt-N.json``, which is created exclusively, with the
next free number. The owner appends a byte to ``attempt-N.beat`` every few seconds. An attempt is
over if its last byte says so, if its process is known to be dead, or if another process sees no new
byte for :func:`lease_s` of its own seconds; clocks of machines are never compared. Whoever creates
attempt N + 1 supersedes attempt N, whose owner notices it at the next beat and stops.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from oraclezoo.codec import decode, encode

BEAT, RELEASED, DEAD = b".", b"!", b"x"
"""Bytes of a beat file; the last two end an attempt: by its owner, and after its owner's death."""

VARIABLE = "ORACLEZOO_LEASE_S"
"""Environment variable with the seconds without a beat after which an owner counts as dead."""

_FILE = re.compile(r"attempt-(\d+)\.json")


def lease_s() -> float:
    """Return the seconds without a beat after which an owner counts as dead; 30 by default."""
    try:
        return max(1.0, float(os.environ.get(VARIABLE, "")))
    except ValueError:
        return 30.0


@dataclass(frozen=True)
class Owner:
    """The process that owns a folder.

    Attributes:
        token: Random identifier of this attempt.
        host: Name of the machine.
        process: Identifier of the process on this boot of this machine; None if unsupported.
        submission: Submission that started the process; empty if unknown.
    """

    token: str
    host: str
    process: str | None = None
    submission: str = ""

    @classmethod
    def here(cls, submission: str = "") -> Owner:
        """Return this process as an owner."""
        return cls(secrets.token_hex(8), socket.gethostname(), _process(os.getpid()), submission)

    def is_gone(self) -> bool:
        """Return whether the process is known to be dead; False on another machine."""
        return self._runs() is False

    def is_here(self) -> bool:
        """Return whether the process is known to be running on this machine."""
        return self._runs() is True

    def _runs(self) -> bool | None:
        here = _process(os.getpid())
        if self.process is None or here is None:
            return None
        machine, _, process = self.process.rpartition("/")
        if machine != here.rpartition("/")[0]:
            return None
        return _process(int(process.partition("-")[0])) == self.process


@dataclass(frozen=True)
class Attempt:
    """One attempt to own a folder."""

    folder: Path
    number: int

    @property
    def path(self) -> Path:
        """The file with the owner."""
        return self.folder / f"attempt-{self.number}.json"

    @property
    def owner(self) -> Owner | None:
        """The owner; None if the file cannot be read."""
        try:
            return decode(Owner, json.loads(self.path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def beats(self) -> bytes:
        """Return the content of the beat file."""
        try:
            return self.path.with_suffix(".beat").read_bytes()
        except OSError:
            return b""

    def mark(self, byte: bytes) -> None:
        """Append a byte to the beat file."""
        with self.path.with_suffix(".beat").open("ab", buffering=0) as file:
            file.write(byte)

    def bury(self) -> None:
        """Record that the owner died, if nobody has done so yet."""
        if not self.beats().endswith((RELEASED, DEAD)):
            self.mark(DEAD)


def attempts(folder: Path) -> list[Attempt]:
    """Return all attempts of a folder in ascending order."""
    with suppress(OSError):
        matches = [_FILE.fullmatch(path.name) for path in folder.iterdir()]
        numbers = [int(match[1]) for match in matches if match]
        return [Attempt(folder, number) for number in sorted(numbers)]
    return []


class Observer:
    """Distinguishes live owners of a folder from dead ones by watching their beats."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: tuple[int, int] | None = None
        self._changed = self._started = time.monotonic()
        self.moved = False
        """Whether a beat has been seen since the first look."""

    def live(self) -> Attempt | None:
        """Return the attempt that owns the folder, or may still own it; None if nobody does.

        An owner that dies silently is reported for :func:`lease_s` seconds more. Its attempt is
        then marked as dead.
        """
        last = next(iter(attempts(self.folder)[-1:]), None)
        if last is None:
            return None
        beats = last.beats()
        if beats.endswith((RELEASED, DEAD)):
            return None
        seen = last.number, len(beats)
        if seen != self._seen:
            self.moved = self._seen is not None
            self._seen, self._changed = seen, time.monotonic()
        owner = last.owner
        if (owner is not None and owner.is_gone()) or (
            time.monotonic() - self._changed > lease_s()
        ):
            last.bury()
            return None
        return last


class Held:
    """A folder that this process owns: a context manager that beats, and releases at the end."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.lost = False
        """Whether another process has superseded this one, which must stop."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # the folder may have been removed
            self.attempt.mark(RELEASED)

    def _beat(self) -> None:
        pause = min(2.0, lease_s() / 10)
        while True:
            with suppress(OSError):  # e.g. a full disk: the next beat may succeed
                last = attempts(self.attempt.folder)[-1:]
                self.lost = self.lost or (bool(last) and last[0].number > self.attempt.number)
                self.attempt.mark(BEAT)
            if self._ended.wait(pause):
                return


def claim(folder: Path, submission: str = "") -> Held | None:
    """Acquire a folder.

    If the current owner seems inactive, wait until it beats or counts as dead.

    Args:
        folder: The folder, which exists.
        submission: Submission that started this process.

    Returns:
        The folder as held by this process, to be used as a context manager; None if another process
        owns it.

    Raises:
        OSError: The folder cannot be written.
    """
    observer = Observer(folder)
    while True:
        while observer.live() is not None:
            if observer.moved:
                return None
            time.sleep(min(0.5, lease_s() / 10))
        attempt = next_attempt(folder, submission)
        if attempt is not None:
            return Held(attempt)
        observer = Observer(folder)  # somebody else was faster


def next_attempt(folder: Path, submission: str = "") -> Attempt | None:
    """Create the next attempt of a folder; return None if another process was faster."""
    listed = attempts(folder)
    attempt = Attempt(folder, listed[-1].number + 1 if listed else 1)
    content = json.dumps(encode(Owner.here(submission))).encode()
    return attempt if write_once(attempt.path, content) else None


def write_once(path: Path, content: bytes) -> bool:
    """Create a file with its content in one step; return False if it exists already.

    A hard link is exclusive on network file systems too, where locks may not be.

    Raises OSError if the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            with suppress(FileExistsError), path.open("xb") as file:
                file.write(content)
                return True
            return False
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _process(pid: int) -> str | None:
    """Return a unique identifier of a process; None if it is not running."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], fields[19]
    return None if state in "ZX" else f"{boot} {namespace}/{pid}-{started}"
