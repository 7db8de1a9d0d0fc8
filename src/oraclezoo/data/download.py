"""Verified downloads over HTTP: a file is either complete and correct, or absent.

Retries, a size limit and a time limit bound the effect of a faulty server. The requests library
reads proxies and certificates from the environment.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin

from oraclezoo._version import __version__
from oraclezoo.data.locate import check
from oraclezoo.data.upstream import UpstreamFile, digest_stream
from oraclezoo.errors import DownloadError
from oraclezoo.storage import alone, replacing

if TYPE_CHECKING:
    import requests  # 0.2 s, not needed if the file exists

_CHUNK = 1 << 16
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"oraclezoo/{__version__}"}
_BUSY = {408, 425, 429}

Received = Callable[[str, int, int | None], None]
"""Called with a file's name, the number of bytes received and the total (None if unknown)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of a download.

    Attributes:
        connect_timeout_s: Connection timeout in seconds.
        read_timeout_s: Maximum seconds without data from the server.
        attempts: Maximum number of attempts, including the first one.
        pause_s: Seconds before the second attempt; doubled for each further attempt.
        max_pause_s: Maximum pause in seconds that a server may request; beyond it, the download
            fails.
        max_redirects: Maximum number of redirects.
        total_s: Time limit in seconds for all attempts, in addition to the time that the maximum
            size takes at ``slowest_bytes_per_s``.
        slowest_bytes_per_s: Minimum transfer rate in bytes per second.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    attempts: int = 4
    pause_s: float = 1.0
    max_pause_s: float = 60.0
    max_redirects: int = 5
    total_s: float = 60.0
    slowest_bytes_per_s: float = 16_000.0


class _RetryableError(Exception):
    """A possibly temporary failure; retried after ``wait_s`` if the server requests a pause."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def obtain(
    file: UpstreamFile,
    path: Path,
    url: str,
    *,
    instead: str,
    progress: Callable[[str], None] | None = None,
    received: Received | None = None,
    settings: Settings | None = None,
) -> None:
    """Download and verify a file, unless a verified copy exists.

    Processes that need the same file wait for each other. On failure, ``path`` is unchanged.

    Args:
        file: The file, with its digest and maximum size.
        path: Destination.
        url: URL of the file.
        instead: Last line of error messages, which states alternatives to the download.
        progress: Called with progress messages.
        received: Called with the number of bytes as they arrive.
        settings: Limits; defaults if None.

    Raises:
        DownloadError: If the file cannot be downloaded, verified or written.
    """
    if _is_verified(file, path):
        return
    say = progress or (lambda _: None)
    settings = settings or Settings()
    download = _Download(file, path, url, say, received or (lambda *_: None), settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"{file.name}: waiting for another process to download it"
        with alone(path, lambda: say(waiting)):
            if not _is_verified(file, path):
                download.run()
    except DownloadError as error:
        raise DownloadError(f"{without_password(url)}: {error}\n{instead}") from error.__cause__
    except OSError as error:
        raise DownloadError(
            f"cannot write {path} ({error.strerror or error})\n{instead}"
        ) from error


def without_password(url: str) -> str:
    """Remove credentials from a URL, for messages.

    Args:
        url: The URL.

    Returns:
        The URL without user name and password.
    """
    return re.sub(r"//[^/]*@", "//", url)


def _is_verified(file: UpstreamFile, path: Path) -> bool:
    return path.is_file() and check(file, path).status == "ok"


@dataclass(frozen=True, slots=True)
class _Download:
    """Download of one file to ``path``; only one process at a time runs it."""

    file: UpstreamFile
    path: Path
    url: str
    say: Callable[[str], None]
    received: Received
    settings: Settings

    def run(self) -> None:
        """Download with retries. Raises DownloadError; OSError if the file cannot be written."""
        source = without_password(self.url).rpartition("/")[0]
        self.say(f"downloading {self.file.name} from {source}")
        settings = self.settings
        limit_s = settings.total_s + self.file.max_bytes / settings.slowest_bytes_per_s
        deadline = time.monotonic() + limit_s
        for attempt in range(1, settings.attempts + 1):
            try:
                with replacing(self.path) as target:
                    self._attempt(target, deadline)
                return
            except queue.Empty as error:
                raise DownloadError(f"timed out after {limit_s:,.0f} s") from error
            except _RetryableError as failure:
                if attempt == settings.attempts:
                    raise DownloadError(
                        f"{failure} (attempt {attempt} of {settings.attempts})"
                    ) from failure.__cause__
                wait_s = failure.wait_s
                if wait_s is None:
                    wait_s = settings.pause_s * 2 ** (attempt - 1)
                elif wait_s > settings.max_pause_s:
                    raise DownloadError(
                        f"{failure} and asks to retry after {wait_s:,.0f} s"
                    ) from None
                self.say(f"{failure}; retrying in {wait_s:g} s")
                time.sleep(min(wait_s, max(0.0, deadline - time.monotonic())))

    def _attempt(self, target: BinaryIO, deadline: float) -> None:
        """Download the complete file and verify it. Raises queue.Empty at the deadline."""
        total: int | None = None
        done = 0
        for chunk in _arriving(self._chunks, deadline):
            if isinstance(chunk, int):
                total = chunk
                if total > self.file.max_bytes:
                    raise DownloadError(f"the server reports {total:,} bytes, more than expected")
                continue
            if not done and chunk.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
                raise DownloadError("the server returned an HTML page instead of the file")
            done += len(chunk)
            if done > self.file.max_bytes:
                raise DownloadError("the server sent more bytes than expected")
            target.write(chunk)
            self.received(self.file.name, done, total)
        if total is not None and done < total:
            raise _RetryableError("incomplete download")
        actual = digest_stream(target, self.file.kind)
        if actual != self.file.digest:
            raise DownloadError(
                f"{self.file.kind} mismatch: expected {self.file.digest}, got {actual}; "
                "the file is a different version or corrupt"
            )

    def _chunks(self) -> Iterator[bytes | int]:
        """Yield the file's size if the server states it, then its bytes as they arrive."""
        import urllib3.exceptions

        with _session() as session, self._response(session) as response:
            if response.status_code != HTTPStatus.OK:
                raise _refusal(response)
            length = response.headers.get("Content-Length", "").strip()
            if re.fullmatch(r"\d{1,15}", length, re.ASCII):
                yield int(length)
            try:
                # not decoded: many servers declare the gzip format of a file as an encoding
                while chunk := response.raw.read1(_CHUNK, decode_content=False):
                    yield chunk
            except urllib3.exceptions.ReadTimeoutError as error:
                raise _RetryableError("the server stopped sending data") from error
            except urllib3.exceptions.HTTPError as error:
                raise _RetryableError("incomplete download") from error

    def _response(self, session: requests.Session) -> requests.Response:
        """Return the response after all redirects, before its body is read."""
        url = self.url
        for _ in range(self.settings.max_redirects + 1):
            response = _get(session, url, self.settings)
            if not response.is_redirect:
                return response
            response.close()
            try:
                url = urljoin(url, response.headers["Location"])
            except ValueError as error:
                raise DownloadError("invalid redirect URL") from error
        raise DownloadError("too many redirects")


def _arriving(
    source: Callable[[], Iterator[bytes | int]], deadline: float
) -> Iterator[bytes | int]:
    """Read ``source`` in a thread and yield its items until ``deadline`` on the monotonic clock.

    A thread is necessary because a socket timeout applies to each read: a server that sends its
    header one byte at a time would never exceed it. Raises queue.Empty at the deadline.
    """
    items: queue.SimpleQueue[bytes | int | Exception | None] = queue.SimpleQueue()
    abandoned = threading.Event()

    def work() -> None:
        try:
            for item in source():
                if abandoned.is_set():
                    return
                items.put(item)
        except Exception as error:
            items.put(error)
        items.put(None)

    threading.Thread(target=work, name="oraclezoo-download", daemon=True).start()
    try:
        while True:
            item = items.get(timeout=max(0.0, deadline - time.monotonic()))
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        abandoned.set()


def _session() -> requests.Session:
    """Return a session that does not follow redirects."""
    import requests

    class Session(requests.Session):
        """Session that does not follow redirects: requests reads their bodies without a limit."""

        def get_redirect_target(self, resp: requests.Response) -> None:
            return None

    session = Session()
    session.headers.update(_HEADERS)
    return session


def _get(session: requests.Session, url: str, settings: Settings) -> requests.Response:
    import requests
    import urllib3.exceptions

    if not url.lower().startswith(("http://", "https://")):
        raise DownloadError("only http:// and https:// URLs are supported")
    timeout = (settings.connect_timeout_s, settings.read_timeout_s)
    try:
        return session.get(url, stream=True, allow_redirects=False, timeout=timeout)
    except (requests.exceptions.InvalidProxyURL, requests.exceptions.InvalidSchema) as error:
        raise DownloadError("the proxy set in the environment is invalid") from error
    except requests.exceptions.SSLError as error:
        raise DownloadError(
            "the server's certificate is not trusted (set $REQUESTS_CA_BUNDLE to add a CA)"
        ) from error
    except requests.exceptions.ProxyError as error:
        raise _RetryableError("cannot connect through the proxy") from error
    except requests.Timeout as error:
        raise _RetryableError("the request timed out") from error
    except requests.ConnectionError as error:
        raise _RetryableError("cannot connect to the server") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise DownloadError("invalid URL") from error
    except OSError as error:  # raised by requests for a missing certificate bundle
        raise DownloadError("the CA bundle set in the environment does not exist") from error


def _refusal(response: requests.Response) -> Exception:
    """Return the error for a response that does not contain the file."""
    status = response.status_code
    known = status in {known.value for known in HTTPStatus}
    # the standard phrase, since the server's could contain anything
    reason = f"the server returned {status}" + (f" {HTTPStatus(status).phrase}" if known else "")
    if status in _BUSY or status >= 500:
        return _RetryableError(reason, _retry_after_s(response))
    return DownloadError(reason)


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the pause that the server requests (RFC 9110, 10.2.3), or None."""
    import urllib3

    try:
        return urllib3.Retry().parse_retry_after(response.headers.get("Retry-After", ""))
    except (urllib3.exceptions.HTTPError, ValueError, OverflowError):
        return None
