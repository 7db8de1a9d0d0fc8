"""Limits of size, count, time and memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from helpers.server import PATIENCE, Local, Process
from oraclezoo.errors import UsageError
from oraclezoo.server.observer import Batch, Observer
from oraclezoo.server.run import Address
from oraclezoo.server.settings import MIB, Settings

SMALL = Settings(
    max_body=20_000, max_images=3, max_pixels=10_000, queue=3, timeout=1.0, access_log=False
)


@pytest.fixture(scope="module")
def small(bands: Path) -> Iterator[Local]:
    with Local(bands, settings=SMALL) as server:
        yield server


async def chunks(number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield bytes(1000)


def test_a_large_body_is_rejected(small: Local) -> None:
    """With a Content-Length and without."""
    for content in (bytes(20_001), chunks(21)):
        response = small.post("/v1/predict", content=content)
        assert response.status_code == 413
        assert response.json() == {"error": "the request body is larger than 20,000 bytes"}
        assert response.headers["connection"] == "close"
    assert small.post("/v1/predict", content=chunks(20)).status_code == 422


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_bomb_is_rejected(small: Local, encoding: str) -> None:
    """The limit counts decompressed bytes; no more are decompressed."""
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    headers = {"content-encoding": encoding}
    response = small.post("/v1/predict", content=packed(bytes(5 * MIB)), headers=headers)
    assert response.status_code == 413
    response = small.post("/v1/predict", content=packed(b"no picture"), headers=headers)
    assert response.status_code == 422
    assert len(response.json()["data"]["unreadable"]) == 1
    for content, message in (
        (b"plain", "is not"),
        (packed(bytes(99))[:-9], "end early"),
        (packed(b"no") + packed(b" picture"), "bytes follow the"),
        (packed(b"no picture") + b"xyz", "3 bytes follow the"),
    ):
        response = small.post("/v1/predict", content=content, headers=headers)
        assert response.status_code == 400
        assert message in response.json()["error"]


def test_an_unknown_encoding_is_rejected(small: Local) -> None:
    """The message lists what is known."""
    response = small.post("/v1/predict", content=b"x", headers={"content-encoding": "br"})
    assert response.status_code == 415
    assert "known are gzip, deflate" in response.json()["error"]


@pytest.mark.parametrize("width", [101, 100])
def test_pixels_are_counted_before_decoding(small: Local, width: int) -> None:
    """An image above the limit has a verdict, as other unreadable ones."""
    buffer = BytesIO()
    Image.new("L", (width, 100), 255).save(buffer, "PNG")
    response = small.post("/v1/predict", content=buffer.getvalue())
    assert response.status_code == 422
    reason = response.json()["data"]["unreadable"][0]["reason"]
    assert reason.startswith(
        "101 x 100 pixels: the limit is 10,000" if width > 100 else "the image is blank"
    )


@pytest.mark.parametrize("kind", ["form", "json", "tensor", "strings"])
def test_images_are_counted(small: Local, kind: str) -> None:
    """In every form of request."""
    if kind == "form":
        files = [("images", (f"{n}", b"x")) for n in range(4)]
        response = small.post("/v1/predict", files=files)
    elif kind == "json":
        response = small.post("/v1/predict", json={"images": ["AAAA"] * 4})
    else:
        name, datatype = ("images", "UINT8") if kind == "tensor" else ("pictures", "BYTES")
        shape = [4, 16, 16] if kind == "tensor" else [4]
        tensor = {"name": name, "datatype": datatype, "shape": shape, "data": []}
        response = small.post("/v2/models/bands/infer", json={"inputs": [tensor]})
    assert response.status_code == 413
    assert response.json() == {"error": "the request has 4 images; the limit is 3"}


def test_a_slow_body_is_rejected(small: Local) -> None:
    """The time of a request counts from its headers."""

    async def ask() -> int:
        done = asyncio.Event()
        parts = [{"type": "http.request", "body": b"x", "more_body": True}]
        messages = []

        async def receive() -> dict[str, object]:
            if parts:
                return parts.pop()
            await done.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            messages.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/predict", "headers": []}
        extra = {"query_string": b"", "root_path": "", "client": None, "server": None}
        await small.app({**scope, **extra}, receive, send)  # type: ignore[arg-type]
        assert b"took longer than 1 s" in messages[1]["body"]  # type: ignore[operator]
        status = messages[0]["status"]
        assert isinstance(status, int)
        return status

    assert small.run(ask()) == 408


def test_a_slow_prediction_is_rejected(bands: Path) -> None:
    """The time counts the queue; images whose request is over are skipped."""

    class Slow(Observer):
        def __init__(self) -> None:
            self.go = threading.Event()

        def ran(self, batch: Batch) -> None:
            """Hold the only thread."""
            assert self.go.wait(PATIENCE)

    observer = Slow()
    with Local(bands, settings=SMALL, observer=observer) as server:
        assert server.post("/v1/predict", content=b"first").status_code == 422
        response = server.post("/v1/predict", content=b"second")
        assert response.status_code == 408
        assert server.service.models.default.batcher.accepted == 0
        observer.go.set()


def test_the_queue_is_bounded(bands: Path, pictures: list[bytes]) -> None:
    """More requests get a 429 that says when to try again; later ones are served."""

    class Held(Observer):
        def __init__(self) -> None:
            self.go = threading.Event()

        def ran(self, batch: Batch) -> None:
            """Hold the only thread."""
            assert self.go.wait(PATIENCE)

    observer = Held()
    settings = Settings(queue=4, max_images=4, access_log=False)
    with Local(bands, settings=settings, observer=observer) as server:
        assert server.post("/v1/predict", content=pictures[0]).status_code == 200
        waiting = [
            asyncio.run_coroutine_threadsafe(
                server.send("POST", "/v1/predict", content=pictures[1]), server.loop
            )
            for _ in range(4)
        ]
        while server.service.models.default.batcher.accepted < 4:
            server.run(asyncio.sleep(0.01))
        response = server.post("/v1/predict", content=pictures[2])
        assert response.status_code == 429
        assert response.headers["retry-after"] == "1"
        assert "4 images are queued, and the limit is 4" in response.json()["error"]
        observer.go.set()
        assert [each.result(PATIENCE).status_code for each in waiting] == [200] * 4
        assert server.post("/v1/predict", content=pictures[2]).status_code == 200


def test_memory_for_bodies_is_bounded(small: Local) -> None:
    """All bodies together have a limit."""
    bodies = small.service.bodies
    bodies.buffered = SMALL.max_buffered - 10
    try:
        response = small.post("/v1/predict", content=bytes(11))
        assert response.status_code == 429
        assert small.post("/v1/predict", content=bytes(10)).status_code == 422
    finally:
        bodies.buffered -= SMALL.max_buffered - 10
    assert bodies.buffered == 0


def test_a_request_must_fit_the_queue() -> None:
    """Or it could never be accepted."""
    with pytest.raises(UsageError, match="Raise --queue or lower --max-images"):
        Settings(max_images=9, queue=8)


def receive_all(connection: socket.socket) -> bytes:
    connection.settimeout(PATIENCE)
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def test_silent_clients_are_dropped(process: Process) -> None:
    """A connection whose headers never end is closed after the time of a request (3 s here)."""
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\n")
        assert receive_all(connection) == b""


def test_slow_clients_get_a_response(process: Process) -> None:
    """A body that never ends is answered with 408, and the connection is closed."""
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
        connection.sendall(head)
        response = receive_all(connection)
    assert response.startswith(b"HTTP/1.1 408 ")
    assert b"took longer than 3 s" in response


def test_a_client_that_sends_too_much_sees_the_response(process: Process) -> None:
    """Though it is still sending; the connection is not reset under it."""
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        for _ in range(18):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
        response = receive_all(connection)
    assert response.startswith(b"HTTP/1.1 413 ")
    assert json.loads(response.partition(b"\r\n\r\n")[2])["error"].startswith("the request body")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 0.0, -1.0])
def test_times_must_be_finite(seconds: float) -> None:
    """A request without end, or a server that never stops, is not meant."""
    with pytest.raises(UsageError, match="must be positive and finite"):
        Settings(timeout=seconds)
    if seconds:
        with pytest.raises(UsageError, match="must be finite"):
            Address(grace=seconds)


@pytest.mark.parametrize(
    "origin", ["", "a.org", "https://a.org/", "https://a.org/page", "https://A.org", "a b", "null"]
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    """It would never match."""
    with pytest.raises(UsageError, match="is not an origin"):
        Settings(origins=(origin,))


def test_origins_have_a_scheme_and_maybe_a_port() -> None:
    """As browsers send them; a star stands for all."""
    Settings(
        origins=("*", "https://a-b.org", "http://localhost:3000", "http://[::1]:80", "app://x")
    )
