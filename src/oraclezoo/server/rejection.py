"""Rejected requests and their HTTP status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

RETRY_AFTER = 1
"""Seconds after which a client may retry; a full queue is processed in less time."""


class AsciiJSONResponse(JSONResponse):
    """A JSON response in ASCII.

    A message may quote any string that JSON can express, and UTF-8 has no code for lone surrogates.
    """

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


@dataclass
class RejectedError(Exception):
    """A request that gets an error status.

    Attributes:
        status: HTTP status.
        reason: A fixed keyword for logs and metrics.
        message: What is wrong, and how to fix it.
        unread: Whether part of the request body may be unread; the connection is then closed.
    """

    status: int
    reason: str
    message: str
    unread: bool = False

    def __str__(self) -> str:
        return self.message

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the response."""
        match = {}
        if self.status in (429, 503):
            match["retry-after"] = str(RETRY_AFTER)
        if self.status == 401:
            match["www-authenticate"] = "Bearer"
        if self.unread:
            match["connection"] = "close"
        return match


def busy(message: str, *, unread: bool = False) -> RejectedError:
    """Return the rejection of a request that exceeds the server's capacity."""
    return RejectedError(429, "queue", message, unread)


def invalid(message: str) -> RejectedError:
    """Return the rejection of a request with invalid content."""
    return RejectedError(422, "invalid", message)
