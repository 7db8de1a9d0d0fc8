"""Requests that are not served."""

from __future__ import annotations

from dataclasses import dataclass

RETRY_AFTER = 1
"""Seconds after which a client may try again; a full queue is worked off sooner."""


@dataclass
class RejectedError(Exception):
    """A request that gets an error status.

    Attributes:
        status: HTTP status.
        reason: One word for logs and metrics, from a small set.
        message: What is wrong and what to do.
        unread: Whether a part of the request body may be left; the connection is closed then.
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
        found = {}
        if self.status in (429, 503):
            found["retry-after"] = str(RETRY_AFTER)
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        if self.unread:
            found["connection"] = "close"
        return found


def busy(message: str, *, unread: bool = False) -> RejectedError:
    """Return the rejection of a request for which there is no room."""
    return RejectedError(429, "queue", message, unread)


def invalid(message: str) -> RejectedError:
    """Return the rejection of a request with wrong content."""
    return RejectedError(422, "invalid", message)
