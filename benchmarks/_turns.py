"""Contenders that take turns: each runs in a separate process, one at a time.

A contender imports, builds and compiles once, then sleeps until its next turn. Contenders thus
cannot affect each other, and load spikes on the machine affect all of them.
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
"""Pause between turns, in which threads go to sleep and the loader fills its queue."""


class Contender:
    """A process of ``_contenders.py`` with one ``setting``; it starts to prepare immediately."""

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
        """Facts of the contender, once it is ready. Raises OracleZooError if it failed."""
        if self._facts is None:
            self._facts = self._read()
        return self._facts

    def turn(self, seconds: float, *, steps: int = 3, profile: bool = False) -> dict[str, Any]:
        """Run for ``seconds``, but at least ``steps``. Raises OracleZooError if it exited."""
        assert self.facts is not None
        request = {"seconds": seconds, "steps": steps, "profile": profile}
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:  # the process exited: reading raises the reason
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
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            what = {key: self.setting[key] for key in ("way", "model") if key in self.setting}
            raise OracleZooError(f"{what} ended: {lines[-1] if lines else 'without a message'}")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def running(settings: Sequence[Mapping[str, Any]]) -> Iterator[list[Contender]]:
    """Start a contender for each setting, and stop all of them at the end."""
    started: list[Contender] = []
    try:
        for setting in settings:
            started.append(Contender(setting))
        yield started
    finally:
        for contender in started:
            contender.stop()


def rounds(contenders: Sequence[Contender], count: int, seconds: float) -> list[list[float]]:
    """Return each contender's rate per second in each round; odd rounds run in reverse order."""
    rates: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:
        contender.turn(seconds / 3)  # warm-up
    for number in range(count):
        order = list(enumerate(contenders))
        for position, contender in reversed(order) if number % 2 else order:
            time.sleep(SETTLE_S)
            rates[position].append(contender.turn(seconds)["per_s"])
    return rates
