"""Damaged and hostile input: a verdict or an error of the client, never one of the server."""

from __future__ import annotations

import random
import socket
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import httpx
import pytest
from PIL import Image

from helpers.bands import drawn
from helpers.server import PATIENCE, Local, Process


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def bomb(width: int, height: int, extra: bytes = b"") -> bytes:
    """Return a PNG file of black pixels, which compresses a thousandfold."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    lines = chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9))
    return b"\x89PNG\r\n\x1a\n" + header + extra + lines + chunk(b"IEND", b"")


def encoded(kind: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(drawn(1, 40, 40)).save(buffer, kind)
    return buffer.getvalue()


def damaged() -> Iterator[tuple[str, bytes]]:
    """Yield files that were cut off, or of which bytes were changed."""
    generator = random.Random(0)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        whole = encoded(kind)
        for part in (1, 5, 9):
            yield f"{kind} cut at {part}/10", whole[: len(whole) * part // 10]
        for number in range(6):
            changed = bytearray(whole)
            for _ in range(1 + 4 * number):
                changed[generator.randrange(len(changed))] = generator.randrange(256)
            yield f"{kind} changed {number}", bytes(changed)


HOSTILE = {
    "bomb by its size": bomb(60_000, 60_000),
    "bomb within the limit": bomb(3_999, 3_999),
    "bomb of text": bomb(9, 9, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 9))),
    "no pixels": bomb(0, 0),
    "negative size": bomb(0xFFFF_FFFF, 1),
    "vector": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run",
    "nothing but a start": b"\x89PNG\r\n\x1a\n",
    "loop of TIFF": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
}


def verdicts(server: Local, images: list[tuple[str, bytes]]) -> dict[str, str]:
    response = server.post("/v1/predict", files=[("images", each) for each in images])
    assert response.status_code in (200, 422), response.text
    data = response.json()["data"]
    found = {row["file"]: "" for row in data["images"]}
    return found | {row["file"]: row["reason"] for row in data["unreadable"]}


def test_damaged_files_have_verdicts(local: Local) -> None:
    """All of them in one request each sixty."""
    images = list(damaged())
    for start in range(0, len(images), 60):
        part = images[start : start + 60]
        assert verdicts(local, part).keys() == {name for name, _ in part}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(local: Local, name: str, pictures: list[bytes]) -> None:
    """Each with its reason, beside a good one that is read."""
    found = verdicts(local, [(name, HOSTILE[name]), ("good", pictures[0])])
    assert found[name] != ""
    assert found["good"] == ""


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\0\1\2\3\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
    ids=["bytes", "version", "length", "two-lengths", "chunk", "path", "header"],
)
def test_malformed_requests_do_not_stop_the_server(process: Process, request_bytes: bytes) -> None:
    """None is an error of the server, and the next client is served."""
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(12)
        except OSError:  # closed before all was sent
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 5")
    assert httpx.get(f"{process.url}/livez", timeout=PATIENCE).is_success
