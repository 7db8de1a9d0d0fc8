"""Server settings: limits and access control."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from oraclezoo.errors import UsageError

MIB = 1 << 20
SHORTEST_TOKEN = 16
"""Minimum length of a bearer token in characters, so that it cannot be guessed."""
LONGEST_TOKEN = 4096
"""Maximum length of a bearer token file in bytes; longer headers are rejected by many proxies."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\sA-Z]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and access control of a server.

    Attributes:
        max_body: Maximum size of a request body in bytes, before and after decompression.
        max_images: Maximum number of images in one request.
        max_pixels: Maximum number of pixels of one image file.
        queue: Maximum number of in-flight images per model, over all requests.
        timeout: Seconds from the first byte of a request to its last prediction.
        threads: Threads that prepare images and run the model.
        token: The bearer token that requests must carry; None to require none.
        origins: Origins that browsers may call the server from (CORS); "*" for all.
        access_log: Whether to log a line for each request.
    """

    max_body: int = 16 * MIB
    max_images: int = 64
    max_pixels: int = 16_000_000
    queue: int = 64
    timeout: float = 10.0
    threads: int = 1
    token: str | None = None
    origins: tuple[str, ...] = ()
    access_log: bool = True

    def __post_init__(self) -> None:
        if self.max_images > self.queue:
            raise UsageError(
                f"a request may have {self.max_images} images, but the queue holds {self.queue}\n"
                "Raise --queue or lower --max-images."
            )
        if not 0 < self.timeout < math.inf:
            raise UsageError(f"the timeout is {self.timeout} s; it must be positive and finite")
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise UsageError(
                    f"'{origin}' is not an origin\n"
                    "Write scheme, host and port in lower case, without a path: "
                    "https://example.org or http://localhost:3000."
                )

    @property
    def max_buffered(self) -> int:
        """Maximum bytes of all request bodies in memory; requests beyond it get status 429."""
        return max(8 * self.max_body, 128 * MIB)


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_token(path: Path) -> str:
    """Return the token in a file, with leading and trailing whitespace removed.

    Raises:
        UsageError: The file cannot be read, or does not contain a valid token.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_TOKEN + 1)
        token = content.decode("ascii").strip()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: a token must contain only ASCII characters") from error
    if len(content) > LONGEST_TOKEN:
        raise UsageError(f"{path}: a token must have at most {LONGEST_TOKEN:,} characters")
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise UsageError(
            f"{path}: a token must be one line of at least {SHORTEST_TOKEN} characters, without "
            "spaces\n"
            "Create one with 'openssl rand -hex 32'."
        )
    return token
