"""Read request bodies, with limits on size, time and memory."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from oraclezoo.server.rejection import RejectedError, busy
from oraclezoo.server.settings import Settings

T = TypeVar("T")

SMALL = 1 << 16
"""Maximum size in bytes of a body parsed in the event loop; threads parse larger ones."""

ENCODINGS = {"gzip": 31, "deflate": 15}
"""Supported content encodings, with zlib's ``wbits`` value for each."""


class Bodies:
    """Bound on the total number of bytes of request bodies in memory.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.buffered = 0

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Reserve ``size`` bytes during the block. Raises RejectedError (429) above the limit."""
        if self.buffered + size > self.settings.max_buffered:
            raise busy("the server holds too many requests; try again later", unread=True)
        self.buffered += size
        try:
            yield
        finally:
            self.buffered -= size

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Read and decompress a request's body, and reserve its size in memory during the block.

        Raises:
            RejectedError: The body is too large (413), too slow (408), has an unknown encoding
                (415) or is not valid in its encoding (400), or there are too many bodies (429).
            ClientDisconnect: The client disconnected.
        """
        limit = self.settings.max_body
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > limit:
            raise too_large(limit, unread=True)
        encoding = request.headers.get("content-encoding", "identity").lower()
        if encoding not in (*ENCODINGS, "identity"):
            known = ", ".join(ENCODINGS)
            message = f"content encoding '{encoding[:20]}' is not supported; known are {known}"
            raise RejectedError(415, "encoding", message, unread=True)
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise too_large(limit, unread=True)
            if self.buffered + size > self.settings.max_buffered:
                raise busy("the server holds too many requests; try again later", unread=True)
            chunks.append(chunk)
        body = b"".join(chunks)
        if encoding in ENCODINGS:
            body = await asyncio.to_thread(_decompressed, body, encoding, limit)
        with self.held(len(body)):
            yield body


async def parsed(size: int, parse: Callable[..., T], *arguments: Any) -> T:
    """Return ``parse(*arguments)``, computed in a thread if the body has many bytes (``size``)."""
    if size <= SMALL:
        return parse(*arguments)
    return await asyncio.to_thread(parse, *arguments)


def too_large(limit: int, *, unread: bool = False) -> RejectedError:
    """Return the rejection of a body that is larger than ``limit`` bytes."""
    message = f"the request body is larger than {limit:,} bytes"
    return RejectedError(413, "size", message, unread)


def too_slow(seconds: float, *, unread: bool = False) -> RejectedError:
    """Return the rejection of a request that took longer than ``seconds``."""
    message = f"the request took longer than {seconds:g} s; send fewer or smaller images"
    return RejectedError(408, "time", message, unread)


def _decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the decompressed body. Raises RejectedError if it is corrupt or becomes too large."""
    stream = zlib.decompressobj(ENCODINGS[encoding])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        message = f"the request body is not {encoding} data ({error})"
        raise RejectedError(400, "encoding", message) from error
    if len(plain) > limit:
        raise too_large(limit)
    if not stream.eof:
        raise RejectedError(400, "encoding", f"the {encoding} data of the request body end early")
    if stream.unused_data:  # further gzip members, which take quadratic time to decompress
        message = f"{len(stream.unused_data)} bytes follow the {encoding} data of the request body"
        raise RejectedError(400, "encoding", message)
    return plain
