"""The attacked oraclezoo: commands, probes of its Python API, and what came out of them."""

from __future__ import annotations

import itertools
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from _faults.process import Process, Ran, Request, Setting

SERVER = Path(__file__).with_name("server.py")
PRELOADED = ("numpy", "torch", "scipy.stats", "scipy.ndimage", "onnx", "onnxruntime", "oraclezoo")
NOWHERE = "http://127.0.0.1:9"
"""An address at which nobody listens."""


class Zoo:
    """An installed oraclezoo.

    Args:
        python: The interpreter that has it.
        work: Folder for the processes' streams.
        patience: Factor of every time limit; a busy machine needs more time.
    """

    def __init__(self, python: Path, work: Path, patience: float = 1.0) -> None:
        self.python, self._work, self._patience = python, work, patience
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
        try:
            self._server.wait(timeout=10)
        except subprocess.TimeoutExpired:  # threads of an inherited library may keep it alive
            self._server.kill()
            self._server.wait()

    def run(self, setting: Setting, *arguments: str | Path) -> Ran:
        """Run ``oraclezoo ARGUMENTS`` to its end."""
        return self.start(setting, *arguments).wait()

    def probe(self, setting: Setting, function: str, *values: str | Path) -> Ran:
        """Call a function of ``probes`` in the attacked interpreter, with texts."""
        return self.start(setting, "probe:", function, *values).wait()

    def start(self, setting: Setting, *arguments: str | Path) -> Process:
        """Start a command, or a probe if the first word is ``probe:``, and return at once."""
        words = [str(word) for word in arguments]
        kind = "probe" if words[0] == "probe:" else "command"
        process = self._place(shlex.join(["oraclezoo", *words]), setting)
        words = words[1:] if kind == "probe" else words
        if setting.fresh:
            self._start_fresh(process, setting, words, probe=kind == "probe")
        else:
            self._send(process, setting, kind, arguments=words)
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
            hung = process.progress(len(batch), self._patience * setting.timeout_s)
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
        self._started = [process for process in self._started if not process.ended]
        self._started.append(Process(command, place, self._patience * setting.timeout_s))
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
            nameless=setting.nameless,
            file_size=setting.file_size,
            memory=setting.memory,
            below=str(setting.below or ""),
            kill_at=setting.kill_at,
            hold_event=setting.hold[0],
            hold_path=setting.hold[1],
            network=setting.network,
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
