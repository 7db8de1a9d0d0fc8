"""Process server of the attacked interpreter: forks a process for each command.

Importing torch takes most of the time of a small command. This program imports it once and runs
each command in a fork: a process of its own, with its own streams, environment, working folder and
limits. It reads one JSON request per line from standard input; the fields are those of
``zoo.Request``. Uses the standard library and oraclezoo only.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import pwd
import resource
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

WRITE_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree")
"""Audit events that change a folder; ``open`` is one as well if it writes."""

PR_SET_PDEATHSIG = 1
"""Of Linux: the signal that a process gets when its parent ends."""
NETWORK_USED = 97
"""Exit status of a process that must not use the network and does."""


def _announce(place: Path, name: str, value: object) -> None:
    """Write a small JSON file so that a reader never sees a part of it."""
    partial = place / f".{name}"
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(place / name)


def _writes(event: str, arguments: tuple[Any, ...], below: str) -> bool:
    """Return whether an audit event changes something below a folder."""
    if event == "open":
        path, _, flags = arguments
        if not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return False
        return isinstance(path, (str, bytes)) and os.fsdecode(path).startswith(below)
    if event not in WRITE_EVENTS:
        return False
    return any(isinstance(a, (str, bytes)) and os.fsdecode(a).startswith(below) for a in arguments)


def _watch(request: dict[str, Any], place: Path) -> None:
    """Install the audit hook of a request: count, kill at the n-th write, hold, note network."""
    below, kill_at = request["below"], request["kill_at"]
    hold_event, hold_path = request["hold_event"], request["hold_path"]
    owner, counts = os.getpid(), {"writes": 0}
    connections = place / "connections"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if os.getpid() != owner:
            return
        if event in ("socket.connect", "socket.getaddrinfo"):
            what = arguments[-1] if event == "socket.connect" else arguments[:2]
            os.write(log, f"{event} {what}\n".encode())
            if not request["network"]:
                os._exit(NETWORK_USED)
        if below and _writes(event, arguments, below):
            counts["writes"] += 1
            if counts["writes"] == kill_at:
                os.kill(owner, signal.SIGKILL)
        if hold_event and event == hold_event and hold_path in repr(arguments):
            reached = place / "reached"
            if not reached.exists():
                reached.touch()
                while not (place / "release").exists():
                    time.sleep(0.01)

    log = os.open(connections, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if below:
        atexit.register(lambda: os.getpid() == owner and _announce(place, "writes", counts))
    sys.addaudithook(hook)


def _prepare(request: dict[str, Any], place: Path) -> None:
    """Give the process its streams, environment, folder, user and limits."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        name = request["stdin"] if number == 0 else str(place / ("out" if number == 1 else "err"))
        descriptor = os.open(name, flags | (os.O_CREAT if number else 0), 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    for kind, limit in (("RLIMIT_DATA", request["memory"]), ("RLIMIT_FSIZE", request["file_size"])):
        if limit:
            resource.setrlimit(getattr(resource, kind), (limit, limit))
    if request["file_size"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if request["nameless"]:
        pwd.getpwuid = _no_entry
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.path[:0] = request["paths"]
    _watch(request, place)


def _no_entry(number: int) -> NoReturn:
    """Raise what the password database raises for a user without an entry."""
    raise KeyError(f"getpwuid(): uid not found: {number}")


def _command(arguments: list[str]) -> int:
    """Run ``python -m oraclezoo`` in this process and return its exit status."""
    sys.argv = ["oraclezoo", *arguments]
    return _status(lambda: runpy.run_module("oraclezoo", run_name="__main__", alter_sys=True))


def _probe(arguments: list[str]) -> int:
    """Run a function of ``probes``; its return value is printed as JSON."""
    name, *values = arguments
    probes = runpy.run_path(str(Path(__file__).with_name("probes.py")))
    return _status(lambda: print(json.dumps(probes[name](*values))))


def _status(run: Any) -> int:
    try:
        run()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _many(commands: list[list[str]], place: Path) -> int:
    """Run commands one after the other; after each, append a line with its outcome."""
    with (place / "rows").open("a", encoding="utf-8") as rows:
        for arguments in commands:
            marks = []
            for stream in (sys.stdout, sys.stderr):
                os.ftruncate(stream.fileno(), 0)
                os.lseek(stream.fileno(), 0, os.SEEK_SET)
            run = _probe if arguments[0] == "probe:" else _command
            status = run(arguments[1:] if run is _probe else arguments)
            for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
                stream.flush()
                marks.append((place / name).read_text(encoding="utf-8", errors="replace"))
            rows.write(json.dumps([status, *marks]) + "\n")
            rows.flush()
    return 0


def _child(request: dict[str, Any], place: Path) -> None:
    """Run a request in this process and end it."""
    status = 1
    try:
        _prepare(request, place)
        if request["kind"] == "many":
            status = _many(request["commands"], place)
        else:
            run = _probe if request["kind"] == "probe" else _command
            status = run(request["arguments"])
    except BaseException:
        traceback.print_exc()
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status & 0xFF)


def _supervise(request: dict[str, Any]) -> None:
    """Start the process of a request, announce its number and, when it ends, how it ended."""
    place = Path(request["place"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if not pid:
        _child(request, place)
    _announce(place, "pid", pid)
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    _announce(place, "status", {"status": code, "peak_bytes": usage.ru_maxrss * 1024})


def main() -> None:
    """Import the libraries, say so, and serve requests until standard input ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # ends with the harness
    for name in sys.argv[1:]:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if not os.fork():
            _supervise(request)
            os._exit(0)


if __name__ == "__main__":
    main()
