"""Jobs that are forked from a process that has imported torch, instead of started.

A job is a separate Python process. It spends several seconds on importing torch and the other
libraries, which is most of the cost of a small benchmark. Here one server process per test session
imports them once, and every job is a fork of it: still a separate process, with the same standard
streams, environment, signals and exit status.

Only Linux does this; elsewhere jobs are started as users start them. Tests that run ``oraclezoo
bench`` in a subprocess have real jobs everywhere.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import runpy
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import IO, Any

import pytest

SUPPORTED = sys.platform == "linux"
PRELOADED = ("helpers.job_imports",)


def _main(
    module: str,
    environment: dict[str, str],
    streams: list[Connection],
    arguments: Sequence[str] = (),
) -> None:
    """Run a module as ``python -m`` does, with other standard streams and environment."""
    if not set(PRELOADED) <= sys.modules.keys():  # multiprocessing ignores what it cannot import
        raise ImportError(f"the server of jobs could not import {', '.join(PRELOADED)}")
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if "OMP_NUM_THREADS" in environment:  # libraries read it when they are imported
        import torch

        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    with warnings.catch_warnings():
        # the server has imported the module already
        warnings.simplefilter("ignore", RuntimeWarning)
        runpy.run_module(module, run_name="__main__", alter_sys=True)


@functools.cache
def _context() -> ForkServerContext:
    """Start the server; it finds the modules of this process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        forkserver.ensure_running()
    return context


class Popen:
    """What ``oraclezoo.jobs`` uses of ``subprocess.Popen``, for ``python -m MODULE``."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int,
        stdout: int,
        stderr: IO[str],
        text: bool,
        env: Mapping[str, str],
    ) -> None:
        python, flag, module = command
        assert (python, flag, stdin, stdout, text) == (
            *(sys.executable, "-m"),
            *(subprocess.PIPE, subprocess.PIPE, True),
        )
        context = _context()
        theirs_in, ours_in = context.Pipe(duplex=False)
        ours_out, theirs_out = context.Pipe(duplex=False)
        theirs_err = Connection(os.dup(stderr.fileno()), readable=False)
        streams = [theirs_in, theirs_out, theirs_err]
        self._process = context.Process(target=_main, args=(module, dict(env), streams))
        self._process.start()
        for stream in streams:
            stream.close()
        self.stdin: IO[str] = os.fdopen(os.dup(ours_in.fileno()), "w", encoding="utf-8")
        self.stdout: IO[str] = os.fdopen(os.dup(ours_out.fileno()), encoding="utf-8")
        ours_in.close()
        ours_out.close()

    def send_signal(self, number: int) -> None:
        """Send a signal if the process is running."""
        pid = self._process.pid
        if pid is not None and self._process.exitcode is None:
            os.kill(pid, number)

    def wait(self) -> int:
        """Wait for the process and return its exit status, negative for a signal."""
        self._process.join()
        status = self._process.exitcode
        assert status is not None
        return status


class Subprocess:
    """Stands for the module ``subprocess`` in ``oraclezoo.jobs``."""

    PIPE = subprocess.PIPE
    Popen: Any = Popen


class WorkerPopen:
    """What ``oraclezoo.executors.local`` uses of ``subprocess.Popen``."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int,
        stdout: int,
        stderr: IO[bytes],
        env: Mapping[str, str],
    ) -> None:
        _, flag, module, *arguments = command
        assert (flag, stdin, stdout) == ("-m", subprocess.DEVNULL, subprocess.DEVNULL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        streams = [Connection(os.dup(number)) for number in (nowhere, nowhere, stderr.fileno())]
        os.close(nowhere)
        self._process = _context().Process(
            target=_main, args=(module, dict(env), streams, arguments)
        )
        self._process.start()
        for stream in streams:
            stream.close()

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self._process.exitcode

    def wait(self) -> int | None:
        """Wait for the process and return its exit status."""
        self._process.join()
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM if the process is running."""
        if self._process.exitcode is None:
            self._process.terminate()


class WorkerSubprocess:
    """Stands for the module ``subprocess`` in ``oraclezoo.executors.local``."""

    DEVNULL = subprocess.DEVNULL
    Popen: Any = WorkerPopen
