"""Contenders that take turns: each lives in a process of its own, and one works at a time.

A contender imports, builds and compiles once; it then waits, asleep, for its next turn. So what
one does cannot distort another's figures, and a bad minute of the machine meets all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oraclezoo.errors import OracleZooError

WORKER = Path(__file__).with_name("_contenders.py")
SETTLE_S = 0.1
"""Between turns: the threads of the one before go to sleep, its loader fills its queue."""


class Contender:
    """A process of ``_contenders.py`` in one ``setting``; it begins to get ready at once."""

    def __init__(self, setting: Mapping[str, Any]) -> None:
        self.setting = dict(setting)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
        threads = str(setting["threads"])
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(self.setting)],
            env=os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._facts: dict[str, Any] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What it says of itself once it is ready; waits for that. Raises OracleZooError."""
        if self._facts is None:
            self._facts = self._read()
        return self._facts

    def turn(self, seconds: float, *, steps: int = 3, profile: bool = False) -> dict[str, Any]:
        """Work for ``seconds``, but ``steps`` at least. Raises OracleZooError if it died."""
        assert self.facts is not None
        request = {"seconds": seconds, "steps": steps, "profile": profile}
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:  # it is gone: reading tells why
            pass
        return self._read()

    def stop(self) -> None:
        """End the process."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
            process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        process.stdout.close()
        self._errors.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            told = self._errors.read().decode(errors="replace").strip().splitlines()
            what = {key: self.setting[key] for key in ("way", "model") if key in self.setting}
            raise OracleZooError(f"{what} ended: {told[-1] if told else 'without a word'}")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def running(settings: Sequence[Mapping[str, Any]]) -> Iterator[list[Contender]]:
    """A contender for each setting, all started at once; stopped in the end, whatever happens."""
    started: list[Contender] = []
    try:
        for setting in settings:
            started.append(Contender(setting))
        yield started
    finally:
        for contender in started:
            contender.stop()


def rounds(contenders: Sequence[Contender], count: int, seconds: float) -> list[list[float]]:
    """Each contender's rate a second in each round; every second round goes backwards."""
    rates: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:
        contender.turn(seconds / 3)  # warms up
    for number in range(count):
        order = list(enumerate(contenders))
        for place, contender in reversed(order) if number % 2 else order:
            time.sleep(SETTLE_S)
            rates[place].append(contender.turn(seconds)["per_s"])
    return rates
