"""The attacked oraclezoo: commands, probes of its Python API, and what came out of them."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

SERVER = Path(__file__).with_name("server.py")
PRELOADED = ("numpy", "torch", "scipy.stats", "scipy.ndimage", "onnx", "onnxruntime", "oraclezoo")
MEMORY = 12 << 30
"""Limit of a process's private memory; beyond it allocations fail."""
POLL_S = 0.004
NOWHERE = "http://127.0.0.1:9"
"""An address at which nobody listens."""


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
        user: Numeric user to become, for permissions that root ignores; 0 stays.
        file_size: Limit in bytes of every written file; 0 for none.
        memory: Limit in bytes of private memory.
        below: Count changes of files below this folder.
        kill_at: Kill the process at this change; 0 for never.
        hold: Audit event and a part of its arguments at which the process waits.
        fresh: Start a new interpreter instead of a fork.
    """

    folder: Path
    paths: tuple[Path, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    timeout_s: float = 180.0
    stdin: str = os.devnull
    user: int = 0
    file_size: int = 0
    memory: int = MEMORY
    below: Path | None = None
    kill_at: int = 0
    hold: tuple[str, str] = ("", "")
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


class Zoo:
    """An installed oraclezoo.

    Args:
        python: The interpreter that has it.
        work: Folder for the processes' streams.
    """

    def __init__(self, python: Path, work: Path) -> None:
        self.python, self._work = python, work
        self._numbers = itertools.count()
        self._helps: dict[str, str] = {}
        self._started: list[Process] = []
        work.mkdir(parents=True, exist_ok=True)
        self._home = work / "home"
        self._home.mkdir()
        self._server = subprocess.Popen(
            [str(python), str(SERVER), *PRELOADED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(Setting(work)),
            cwd=work,
            text=True,
        )
        assert self._server.stdout is not None
        if self._server.stdout.readline() != "ready\n":
            raise SystemExit(f"{python} cannot import {', '.join(PRELOADED)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._started:
            if not process.ended:
                process.signal(signal.SIGKILL, group=True)
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def run(self, setting: Setting, *arguments: str | Path) -> Ran:
        """Run ``oraclezoo ARGUMENTS`` to its end."""
        return self.start(setting, *arguments).wait()

    def probe(self, setting: Setting, function: str, *values: str | Path) -> Ran:
        """Call a function of ``probes`` in the attacked interpreter, with texts."""
        return self.start(setting, *values, probe=function).wait()

    def start(self, setting: Setting, *arguments: str | Path, probe: str = "") -> Process:
        """Start a command, or a probe, and return at once."""
        words = [*([probe] if probe else []), *map(str, arguments)]
        process = self._place(shlex.join(["probe" if probe else "oraclezoo", *words]), setting)
        if setting.fresh:
            self._start_fresh(process, setting, words, probe=bool(probe))
        else:
            self._send(process, setting, "probe" if probe else "command", arguments=words)
        return process

    def many(
        self, setting: Setting, commands: Sequence[Sequence[str | Path]], *, size: int = 100
    ) -> Iterator[Ran]:
        """Run commands one after the other in one process, for parsers that take milliseconds.

        The time limit is for each command. A process that dies or hangs is replaced by another,
        which continues with the next command.
        """
        left = [[str(word) for word in command] for command in commands]
        while left:
            batch = left[:size]
            process = self._place("many", setting.but(timeout_s=math.inf))
            self._send(process, setting, "many", commands=batch)
            hung = process.progress(len(batch), setting.timeout_s)
            rows = process.rows()
            names = [shlex.join(["oraclezoo", *command]) for command in batch]
            for name, row in zip(names, rows, strict=False):
                status, out, err = json.loads(row)
                yield Ran(name, status, out, err, process.place)
            ended = process.wait()
            if len(rows) < len(batch):  # it died or hung at the next command
                yield replace(
                    ended, command=names[len(rows)], status=None if hung else ended.status
                )
            shutil.rmtree(process.place, ignore_errors=True)
            left = left[len(rows) + 1 :] if len(rows) < len(batch) else left[len(batch) :]

    def has_option(self, command: str, option: str) -> bool:
        """Return whether a command has an option; versions differ in their options."""
        if command not in self._helps:
            ran = self.run(Setting(self._work), *command.split(), "--help")
            self._helps[command] = ran.out if ran.status == 0 else ""
        return option in self._helps[command].replace(",", " ").split()

    def _environment(self, setting: Setting) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("ORACLEZOO_")}
        paths = [*map(str, setting.paths), env.get("PYTHONPATH", "")]
        env |= {
            "HOME": str(self._home),
            "XDG_CACHE_HOME": str(self._home / "cache"),
            "OMP_NUM_THREADS": "1",
            "MPLCONFIGDIR": str(self._home / "matplotlib"),
            "COLUMNS": "200",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HF_ENDPOINT": NOWHERE,  # an attack never reaches a model hub
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
        }
        for key, value in setting.env.items():
            if value is None:
                env.pop(key, None)
            else:
                env[key] = value
        return env

    def _place(self, command: str, setting: Setting) -> Process:
        place = self._work / f"p{next(self._numbers)}"
        place.mkdir()
        if setting.user:
            place.chmod(0o777)
        self._started = [process for process in self._started if not process.ended]
        self._started.append(Process(command, place, setting.timeout_s))
        return self._started[-1]

    def _send(
        self,
        process: Process,
        setting: Setting,
        kind: str,
        *,
        arguments: Sequence[str] = (),
        commands: Sequence[Sequence[str]] = (),
    ) -> None:
        request = Request(
            kind=kind,
            arguments=list(arguments),
            commands=[list(command) for command in commands],
            place=str(process.place),
            cwd=str(setting.folder),
            env=self._environment(setting),
            paths=[str(path) for path in setting.paths],
            stdin=setting.stdin,
            user=setting.user,
            file_size=setting.file_size,
            memory=setting.memory,
            below=str(setting.below or ""),
            kill_at=setting.kill_at,
            hold_event=setting.hold[0],
            hold_path=setting.hold[1],
        )
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(asdict(request)) + "\n")
        self._server.stdin.flush()

    def _start_fresh(
        self, process: Process, setting: Setting, words: list[str], *, probe: bool
    ) -> None:
        probes = [str(SERVER.with_name("probes.py"))]
        with (process.place / "out").open("wb") as out, (process.place / "err").open("wb") as err:
            process._fresh = subprocess.Popen(
                [str(self.python), *(probes if probe else ["-m", "oraclezoo"]), *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=setting.folder,
                env=self._environment(setting),
                start_new_session=True,
            )


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
    user: int
    file_size: int
    memory: int
    below: str
    kill_at: int
    hold_event: str
    hold_path: str
