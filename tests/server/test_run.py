"""The server as a process: its start, its address, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from helpers.server import PATIENCE, Process, serving

needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to handle")


class Load:
    """Clients that send pictures until they are told to stop or the server does not answer."""

    def __init__(self, url: str, picture: bytes, clients: int = 8) -> None:
        self.url, self.picture = url, picture
        self.answered = 0
        self.lost: list[str] = []
        self.statuses: set[int] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        """Repeat a request; a refused connection was not accepted, any other failure is a loss."""
        with httpx.Client(base_url=self.url, timeout=PATIENCE) as client:
            while True:
                try:
                    response = client.post("/v1/predict", content=self.picture)
                except httpx.ConnectError:
                    return
                except httpx.HTTPError as error:
                    with self._lock:
                        self.lost.append(repr(error))
                    return
                with self._lock:
                    self.answered += 1
                    self.statuses.add(response.status_code)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)


def stopped_under_load(bands: Path, picture: bytes, log: Path) -> None:
    """Send SIGTERM while eight clients send requests; none that was accepted may be lost."""
    with serving(log, bands, "--threads", 2) as server:
        load = Load(server.url, picture)
        while load.answered < 20:
            time.sleep(0.01)
            assert server.process.poll() is None
        assert server.stop() == 0
        load.join()
    assert load.lost == []
    assert load.statuses == {200}
    lines = server.log()
    assert lines[-1]["event"] == "stopped"
    served = [line for line in lines if line.get("path") == "/v1/predict"]
    assert len(served) == load.answered
    assert [line for line in lines if line.get("level")] == []


@needs_signals
def test_a_stopped_server_loses_no_request(
    bands: Path, pictures: list[bytes], tmp_path: Path
) -> None:
    """What was accepted before SIGTERM is answered, and the exit status is 0."""
    stopped_under_load(bands, pictures[0], tmp_path / "log")


@pytest.mark.full
@needs_signals
def test_twenty_stopped_servers_lose_no_request(
    bands: Path, pictures: list[bytes], tmp_path: Path
) -> None:
    """The same, more often."""
    for number in range(20):
        stopped_under_load(bands, pictures[number % 4], tmp_path / f"log-{number}")


@needs_signals
def test_a_stopping_server_is_not_ready(bands: Path, tmp_path: Path) -> None:
    """Until it ends, so that a load balancer sends requests elsewhere."""
    with serving(tmp_path / "log", bands) as server:
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            assert client.get("/readyz").json() == {"status": "ok"}
            server.process.send_signal(signal.SIGTERM)
            statuses = []
            while True:
                try:
                    response = client.get("/readyz")
                except httpx.HTTPError:
                    break
                statuses.append(response.status_code)
        assert server.process.wait(PATIENCE) == 0
    assert 503 in statuses


@needs_signals
def test_the_grace_period_ends(bands: Path, tmp_path: Path) -> None:
    """A request that never arrives in full does not keep the server; the status is then 1."""
    with (
        serving(tmp_path / "log", bands, "--grace", 1, "--timeout", PATIENCE) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
        connection.sendall(head)
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            assert client.get("/livez").is_success  # the request above has been read by now
        assert server.stop() == 1
    assert server.log()[-1] == {**server.log()[-1], "event": "stopped", "lost": 1}


def test_an_address_in_use_is_an_error(process: Process, bands: Path) -> None:
    """One line that says what to do, and status 2."""
    command = [sys.executable, "-m", "oraclezoo", "serve", str(bands), "--port", str(process.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "Choose another --host or --port."
    assert f"cannot listen on 127.0.0.1:{process.port}" in done.stderr


def test_torch_is_never_imported(bands: Path, tmp_path: Path) -> None:
    """Nor timm and onnx, when models are loaded and have predicted; they take seconds."""
    code = """
import asyncio, sys
from pathlib import Path
from helpers.server import Local
with Local(Path(sys.argv[1])) as server:
    picture = Path(sys.argv[2]).read_bytes()
    assert server.post("/v1/predict", content=picture).status_code == 200
    assert server.get("/docs").is_success
print(sorted({"torch", "timm", "onnx", "torchvision"} & set(sys.modules)))
"""
    from oraclezoo.serving.sources import SAMPLE

    done = subprocess.run(
        [sys.executable, "-c", code, bands, SAMPLE],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.stdout.strip() == "[]"


def test_the_log_starts_with_the_address(process: Process) -> None:
    """For scripts that let the system choose the port."""
    first = process.log()[0]
    assert (first["event"], first["models"]) == ("started", "bands")
    assert httpx.get(f"{first['url']}/livez").json() == {"status": "ok"}
    json.dumps(first)
