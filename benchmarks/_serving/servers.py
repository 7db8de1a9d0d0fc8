"""The servers of the benchmark as processes of their own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
STARTING_S = 120
"""Seconds that a server may take to answer its first request."""
BOUNDARY = "oraclezoo-benchmark-boundary"


@dataclass(frozen=True)
class Body:
    """How a server takes a picture: content type and body."""

    content_type: str
    of: Callable[[bytes], bytes]


def form(picture: bytes) -> bytes:
    """Return a multipart form with one file."""
    head = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="images"; filename="a.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    return head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()


RAW = Body("image/png", lambda picture: picture)
FORM = Body(f"multipart/form-data; boundary={BOUNDARY}", form)
JSON = Body(
    "application/json", lambda picture: json.dumps({"image": b64encode(picture).decode()}).encode()
)


@dataclass(frozen=True)
class Server:
    """A server: its command for a port, the route that reads a picture, and how it takes one."""

    name: str
    command: Callable[[int], list[str]]
    path: str
    body: Body
    environment: Mapping[str, str] = field(default_factory=dict)


def ours(
    model: str, *, name: str = "oraclezoo", body: Body = RAW, threads: int | None = 1
) -> Server:
    """Return our server; ``threads`` is None for its default, one per core."""
    options = [] if threads is None else ["--threads", str(threads)]

    def command(port: int) -> list[str]:
        serve = [sys.executable, "-m", "oraclezoo", "serve", model, "--port", str(port)]
        return [*serve, "--no-access-log", *options]

    return Server(name, command, "/v1/predict", body)


def observed(model: str, kind: str) -> Server:
    """Return our server with nothing, metrics, or metrics and drift detection (``kind``)."""

    def command(port: int) -> list[str]:
        return [sys.executable, str(HERE / "observed.py"), kind, model, str(port)]

    return Server(kind, command, "/v1/predict", RAW)


def bentoml(python: Path, onnx: Path, *, batching: bool) -> Server:
    """Return BentoML in its environment, with or without adaptive batching."""

    def command(port: int) -> list[str]:
        serve = [str(python), "-m", "bentoml", "serve", "bento_app:Reader"]
        return [*serve, "--host", "127.0.0.1", "--port", str(port), "--working-dir", str(HERE)]

    environment = {
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_CONFIG_OPTIONS": "api_server.logging.access.enabled=false",
    }
    return Server(
        f"BentoML{', batching' if batching else ''}",
        command,
        "/predict",
        FORM,
        {**environment, **_settings(onnx, batching)},
    )


def litserve(python: Path, onnx: Path, *, batching: bool) -> Server:
    """Return LitServe in its environment, with or without batches."""

    def command(port: int) -> list[str]:
        return [str(python), str(HERE / "litserve_app.py"), str(port)]

    name = f"LitServe{', batching' if batching else ''}"
    return Server(name, command, "/predict", JSON, _settings(onnx, batching))


def _settings(onnx: Path, batching: bool) -> dict[str, str]:
    return {"MODEL": str(onnx), "BATCHING": str(int(batching))}


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass
class Running:
    """A server that answers."""

    server: Server
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """URL of the route that reads a picture."""
        return f"http://127.0.0.1:{self.port}{self.server.path}"

    def pause(self, *, resume: bool = False) -> None:
        """Stop the server's processes for a while, or let them go on.

        LitServe's batching loop spins while it has nothing to do, and would slow the others down.
        """
        for member in _family(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGCONT if resume else signal.SIGSTOP)

    def stop(self) -> None:
        """End the server's processes."""
        self.pause(resume=True)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
                if number == signal.SIGTERM:
                    time.sleep(0.2)


@contextmanager
def running(server: Server, picture: bytes, core: int | None = None) -> Iterator[Running]:
    """Start a server, on one core if ``core`` is given, and stop it at the end.

    Raises RuntimeError with its output if it does not answer.
    """
    port = free_port()
    command = server.command(port)
    if core is not None:
        command = ["taskset", "--cpu-list", str(core), *command]
    environment = {**os.environ, **server.environment, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # a session of its own would not share this one's priority
        )
        started = Running(server, port, process)
        try:
            if not _answers(started, picture):
                output.seek(0)
                text = output.read()[-2000:].decode(errors="replace")
                raise RuntimeError(f"{server.name} does not answer:\n{text}")
            _share_priority(process.pid)
            yield started
        finally:
            started.stop()


def _share_priority(pid: int) -> None:
    """Give the sessions of a process and its descendants the niceness of this one (Linux).

    Some servers start their workers in sessions of their own, which would otherwise starve.
    """
    own = Path("/proc/self/autogroup")
    if not own.is_file():
        return
    nice = own.read_text(encoding="ascii").split()[-1]
    for member in _family(pid):
        with suppress(OSError):
            Path(f"/proc/{member}/autogroup").write_text(nice, encoding="ascii")


def _family(pid: int) -> list[int]:
    """Return a process and its descendants (Linux)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after_name = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
            children.setdefault(int(after_name.split()[1]), []).append(int(stat.parent.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _answers(started: Running, picture: bytes) -> bool:
    end = time.monotonic() + STARTING_S
    while time.monotonic() < end and started.process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            if send(started, picture)[0] == 200:
                return True
        time.sleep(0.05)
    return False


def send(started: Running, picture: bytes) -> tuple[int, bytes]:
    """Send a picture on a new connection; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", started.port, timeout=30)
    try:
        body = started.server.body
        headers = {"Content-Type": body.content_type}
        connection.request("POST", started.server.path, body.of(picture), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """Return the resident memory of a server's first process (Linux)."""
    with Path(f"/proc/{process.pid}/status").open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith("VmRSS:"):
                return 1024 * int(line.split()[1])
    return 0
