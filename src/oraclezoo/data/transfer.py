"""A file by HTTP: gone on with where it broke off, tried again after pauses, never past a size."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import chain
from urllib.parse import urljoin

import requests
import urllib3.exceptions

from oraclezoo._version import __version__
from oraclezoo.data.partial import Partial
from oraclezoo.errors import DownloadError

_CHUNK = 1 << 16
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"oraclezoo/{__version__}"}
_BUSY = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class Settings:
    """How patient a download is.

    ``read_timeout_s`` is how long a server may send nothing; ``attempts`` counts the first one;
    ``pause_s`` comes before the second, twice that before the third, and so on. A server that asks
    for more than ``max_pause_s`` is not waited for.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    attempts: int = 4
    pause_s: float = 1.0
    max_pause_s: float = 60.0
    max_redirects: int = 5


class _TryAgainError(Exception):
    """Worth another attempt, after ``wait_s`` if the server (or nothing at all) asks for it."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _Session(requests.Session):
    """Follows no redirect: requests reads the body of one to its end, whatever its size."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is downloaded, and to whom it is told.

    ``say`` gets lines, ``received`` the bytes so far and in all (None if the server does not say).
    Proxies and certificates come from the environment, as requests has it.
    """

    url: str
    partial: Partial
    max_bytes: int
    settings: Settings
    say: Callable[[str], None]
    received: Callable[[int, int | None], None]

    def run(self) -> bool:
        """Complete ``partial``; whether it was gone on with rather than fetched in one piece.

        Its bytes have not been held against any digest then. Raises DownloadError, with a reason
        only; OSError if they cannot be written.
        """
        with _Session() as session:
            session.headers.update(_HEADERS)
            attempt = 1
            while True:
                try:
                    return self._attempt(session)
                except _TryAgainError as broken:
                    if attempt >= self.settings.attempts:
                        raise DownloadError(f"{broken} (attempt {attempt})") from broken.__cause__
                    self._pause(broken, self.settings.pause_s * 2 ** (attempt - 1))
                attempt += 1

    def _pause(self, broken: _TryAgainError, usual_s: float) -> None:
        wait_s = usual_s if broken.wait_s is None else broken.wait_s
        if wait_s > self.settings.max_pause_s:
            raise DownloadError(f"{broken}, and asks to be left alone for {wait_s:,.0f} s")
        self.say(f"{broken}; trying again" + (f" in {wait_s:g} s" if wait_s else ""))
        time.sleep(wait_s)

    def _attempt(self, session: requests.Session) -> bool:
        size, validator = self.partial.size_bytes(), self.partial.validator(self.url)
        start = size if validator is not None and size <= self.max_bytes else 0
        ranged = {"Range": f"bytes={start}-", "If-Range": validator or ""} if start else {}
        with self._answer(session, ranged) as response:
            if response.status_code == HTTPStatus.PARTIAL_CONTENT:
                total = _continued(response, start, validator)
                if total is None:
                    self.partial.discard()
                    raise _TryAgainError(
                        "the server does not go on where the download broke off", 0
                    )
            elif response.status_code == HTTPStatus.OK:
                start, total = 0, _number(response.headers.get("Content-Length"))
            elif response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
                self.partial.discard()
                raise _TryAgainError("the server's file is not the one that was begun", 0)
            else:
                raise _refusal(response)
            if total is not None and total > self.max_bytes:
                raise DownloadError(f"{total:,} bytes are offered, more than the file's size")
            self._write(response, start, total)
        return start > 0

    def _write(self, response: requests.Response, start: int, total: int | None) -> None:
        chunks = _body(response)
        first = next(chunks, b"")
        if not start:  # looked at before what came earlier is given up for it
            if first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
                raise DownloadError("a web page came instead of the file")
            self.partial.begin(self.url, _validator(response))
        done = start
        with self.partial.path.open("ab") as file:
            for chunk in chain([first], chunks):
                done += len(chunk)
                if done > self.max_bytes:
                    self.partial.discard()
                    raise DownloadError("the server sends more than the file's size")
                file.write(chunk)
                file.flush()  # a kill loses nothing that came
                self.received(done, total)
        if total is not None and done < total:
            raise _TryAgainError("the download was cut short")

    def _answer(self, session: requests.Session, ranged: dict[str, str]) -> requests.Response:
        """The server's answer behind all redirects, its body unread."""
        url = self.url
        for _ in range(self.settings.max_redirects + 1):
            response = _get(session, url, ranged, self.settings)
            if not response.is_redirect:
                return response
            response.close()
            try:
                url = urljoin(url, response.headers["Location"])
            except ValueError as error:
                raise DownloadError("the server redirects to what is no address") from error
        raise DownloadError("the server redirects without end")


def _get(
    session: requests.Session, url: str, headers: dict[str, str], settings: Settings
) -> requests.Response:
    if not url.lower().startswith(("http://", "https://")):
        raise DownloadError("only http:// and https:// can be downloaded from")
    try:
        return session.get(
            url,
            headers=headers,
            stream=True,
            allow_redirects=False,
            timeout=(settings.connect_timeout_s, settings.read_timeout_s),
        )
    except (requests.exceptions.InvalidProxyURL, requests.exceptions.InvalidSchema) as error:
        raise DownloadError("the proxy named in the environment cannot be used") from error
    except requests.exceptions.SSLError as error:
        raise DownloadError(
            "the server's certificate is not trusted (one's own authority: $REQUESTS_CA_BUNDLE)"
        ) from error
    except requests.exceptions.ProxyError as error:
        raise _TryAgainError("no connection through the proxy") from error
    except requests.Timeout as error:
        raise _TryAgainError("the server does not answer in time") from error
    except requests.ConnectionError as error:
        raise _TryAgainError("no connection to the server") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise DownloadError("this is no address to download from") from error


def _body(response: requests.Response) -> Iterator[bytes]:
    """The bytes as they come: a .gz file must stay one where a server calls gzip its encoding."""
    try:
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            yield chunk
    except urllib3.exceptions.ReadTimeoutError as error:
        raise _TryAgainError("the server stopped sending") from error
    except urllib3.exceptions.HTTPError as error:
        raise _TryAgainError("the download was cut short") from error


def _continued(response: requests.Response, start: int, validator: str | None) -> int | None:
    """The whole file's size if ``response`` goes on at byte ``start`` of the same file, or None."""
    given = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", given.strip(), re.ASCII)
    if not start or match is None:
        return None
    first, last, total = map(int, match.groups())
    if not (first == start <= last < total):
        return None
    return total if _validator(response) in (None, validator) else None


def _validator(response: requests.Response) -> str | None:
    """What If-Range takes (RFC 9110, 13.1.5): a strong ETag, else the date of the last change."""
    tag = response.headers.get("ETag", "")
    if tag.startswith('"') and tag.isascii():
        return tag
    date = response.headers.get("Last-Modified", "")
    return date if date and date.isascii() and not tag else None


def _refusal(response: requests.Response) -> Exception:
    """What to raise for an answer that brings no file."""
    status = response.status_code
    known = status in {known.value for known in HTTPStatus}
    # the standard's words, not the server's, which may hold anything
    reason = f"the server answers {status}" + (f" {HTTPStatus(status).phrase}" if known else "")
    if status in _BUSY or status >= 500:
        return _TryAgainError(reason, _retry_after_s(response))
    return DownloadError(reason)


def _retry_after_s(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, 10.2.3), or None."""
    given = response.headers.get("Retry-After", "").strip()
    if (seconds := _number(given)) is not None:
        return float(seconds)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,15}", text.strip(), re.ASCII) else None
