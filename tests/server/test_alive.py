"""The health check of a container."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from oraclezoo.server.alive import is_ready, main, port


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on the loopback interface that answers /readyz with a status; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, 8000),
        ({"PORT": "8080"}, 8080),
        ({"ORACLEZOO_SERVE_PORT": "9000", "PORT": "8080"}, 9000),
        ({"ORACLEZOO_SERVE_PORT": "", "PORT": "8080"}, 8080),
    ],
)
def test_it_asks_the_port_that_the_server_chooses(environ: dict[str, str], expected: int) -> None:
    """With the variables, and in the order, of ``oraclezoo serve``."""
    assert port(environ) == expected


def test_a_server_that_stops_is_not_ready() -> None:
    """Status 503 is what a draining server sends."""
    with answering(200) as number:
        assert is_ready(number)
    with answering(503) as number:
        assert not is_ready(number)


def test_no_server_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that accepts connections and says nothing."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        number = closed.getsockname()[1]
    assert not is_ready(number)
    monkeypatch.setattr("oraclezoo.server.alive.TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("ORACLEZOO_SERVE_PORT", str(silent.getsockname()[1]))
        assert main() == 1


def test_it_imports_little() -> None:
    """It runs every half minute: no server, no NumPy."""
    code = "import sys, oraclezoo.server.alive; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"click", "fastapi", "numpy", "onnxruntime", "starlette", "uvicorn"}
