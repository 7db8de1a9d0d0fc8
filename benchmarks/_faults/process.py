"""Commands of the attacked oraclezoo: where they run, and what came out of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

MEMORY = 12 << 30
"""Limit of a process's private memory; beyond it allocations fail."""


POLL_S = 0.004


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished process: its command in words, exit status, output and peak memory.

    ``status`` is negative for a signal and None if the process was ended at its time limit.
    """

    command: str
    status: int | None
    out: str
    err: str
    place: Path
    peak_bytes: int = 0

    @property
    def data(self) -> Any:
        """The JSON document on standard output (its ``data``), or None."""
        try:
            document = json.loads(self.out)
        except ValueError:
            return None
        return document["data"] if isinstance(document, dict) and "data" in document else document

    @property
    def said(self) -> str:
        """Standard output and error, for messages."""
        return f"{self.out}\n{self.err}"

    @property
    def connections(self) -> str:
        """Network addresses that the process looked up or connected to."""
        path = self.place / "connections"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def writes(self) -> int:
        """Number of changes below ``Setting.below``, for a process that ended by itself."""
        path = self.place / "writes"
        return int(json.loads(path.read_text())["writes"]) if path.exists() else 0

    def __str__(self) -> str:
        status = "no end within the limit" if self.status is None else f"exit {self.status}"
        lines = [f"$ {self.command}", *(self.out + self.err).strip().splitlines()[-12:]]
        return "\n".join([*lines, f"[{status}]"])


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how a command runs.

    Attributes:
        folder: Working folder.
        paths: Folders put in front of ``sys.path``: installed plugins.
        env: Environment variables to set; None removes one.
        timeout_s: Time after which the process counts as hanging.
        stdin: File that is standard input.
        nameless: Whether the user has no entry in the password file.
        file_size: Limit in bytes of every written file; 0 for none.
        memory: Limit in bytes of private memory.
        below: Count changes of files below this folder.
        kill_at: Kill the process at this change; 0 for never.
        hold: Audit event and a part of its arguments at which the process waits.
        network: Whether it may use the network; if not, it ends at the first attempt.
        fresh: Start a new interpreter instead of a fork.
    """

    folder: Path
    paths: tuple[Path, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    timeout_s: float = 180.0
    stdin: str = os.devnull
    nameless: bool = False
    file_size: int = 0
    memory: int = MEMORY
    below: Path | None = None
    kill_at: int = 0
    hold: tuple[str, str] = ("", "")
    network: bool = True
    fresh: bool = False

    def but(self, **changes: Any) -> Setting:
        """Return a copy with other fields."""
        return replace(self, **changes)


class Process:
    """A running command."""

    def __init__(self, command: str, place: Path, timeout_s: float) -> None:
        self.command, self.place = command, place
        self._deadline = time.monotonic() + timeout_s
        self._fresh: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process number; waits until the process exists."""
        if self._fresh is not None:
            return self._fresh.pid
        self.until(lambda: (self.place / "pid").exists())
        return int(json.loads((self.place / "pid").read_text()))

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        if self._fresh is not None:
            return self._fresh.poll() is not None
        return (self.place / "status").exists()

    @property
    def err(self) -> str:
        """Standard error so far."""
        path = self.place / "err"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def until(self, condition: Callable[[], bool]) -> bool:
        """Wait for a condition; False if the process ends or its time is over before."""
        while not condition():
            if self.ended or time.monotonic() > self._deadline:
                return condition()
            time.sleep(POLL_S)
        return True

    def held(self) -> bool:
        """Wait until the process waits at ``Setting.hold``."""
        return self.until(lambda: (self.place / "reached").exists())

    def release(self) -> None:
        """Let a held process continue."""
        (self.place / "release").touch()

    def rows(self) -> list[str]:
        """Return the outcomes so far of several commands in one process."""
        path = self.place / "rows"
        return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []

    def progress(self, count: int, patience_s: float) -> bool:
        """Wait for ``count`` outcomes or the end; kill and return True if nothing comes of it."""
        done, last = 0, time.monotonic()
        while done < count and not self.ended:
            found = len(self.rows())
            if found > done:
                done, last = found, time.monotonic()
            elif time.monotonic() - last > patience_s:
                self.signal(signal.SIGKILL, group=True)
                return True
            time.sleep(POLL_S)
        return False

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the process, or to it and the processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def wait(self) -> Ran:
        """Wait for the end, or end the process and its children at the time limit."""
        self.until(lambda: self.ended)
        hung = not self.ended
        if hung:
            self.signal(signal.SIGKILL, group=True)
            while not self.ended:
                time.sleep(POLL_S)
        texts = []
        for name in ("out", "err"):
            path = self.place / name
            text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            texts.append(text)
        if self._fresh is not None:
            return Ran(self.command, None if hung else self._fresh.wait(), *texts, self.place)
        end = json.loads((self.place / "status").read_text())
        status = None if hung else end["status"]
        return Ran(self.command, status, *texts, self.place, end["peak_bytes"])


@dataclass(frozen=True, slots=True)
class Request:
    """A request to ``server``, as JSON."""

    kind: str
    arguments: list[str]
    commands: list[list[str]]
    place: str
    cwd: str
    env: dict[str, str]
    paths: list[str]
    stdin: str
    nameless: bool
    file_size: int
    memory: int
    below: str
    kill_at: int
    hold_event: str
    hold_path: str
    network: bool
