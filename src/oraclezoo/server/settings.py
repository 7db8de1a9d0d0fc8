"""Settings of the server: its limits, and who may use it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from oraclezoo.errors import UsageError

MIB = 1 << 20
SHORTEST_TOKEN = 16
"""Characters that a bearer token must have at least, so that it cannot be guessed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much a server accepts, and from whom.

    Attributes:
        max_body: Size limit of a request body in bytes, also after decompression.
        max_images: Images in one request.
        max_pixels: Pixels of one image file.
        queue: Images that are accepted and not finished, over all requests to one model.
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

    @property
    def max_buffered(self) -> int:
        """Bytes of all request bodies in memory; further requests wait for none and get a 429."""
        return max(8 * self.max_body, 128 * MIB)


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_token(path: Path) -> str:
    """Return the token in a file, without white space around it.

    Raises:
        UsageError: The file cannot be read, or its content is no usable token.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: a token has ASCII characters only") from error
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise UsageError(
            f"{path}: a token is one line of at least {SHORTEST_TOKEN} characters without spaces\n"
            "Create one with 'openssl rand -hex 32'."
        )
    return token
