"""A local server with synthetic files in place of the official ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from threading import Thread

import pytest

from helpers.file_server import FileServer
from oraclezoo.data.upstream import FILES, UpstreamFile

CONTENT = {name: f"the bytes of {name} ".encode() * 50 for name in FILES}


def record(name: str, content: bytes, *, blob: bool) -> UpstreamFile:
    """Return the table entry of such a file."""
    if blob:
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return UpstreamFile(name, "git-blob", digest, 100_000, None)
    return UpstreamFile(name, "sha256", hashlib.sha256(content).hexdigest(), 100_000, None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A running server whose files replace the official ones in the table of digests."""
    for number, (name, content) in enumerate(CONTENT.items()):
        monkeypatch.setitem(FILES, name, record(name, content, blob=not number % 2))
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    server = FileServer(dict(CONTENT))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stalled.set()
    server.shutdown()
    thread.join()
    server.server_close()
