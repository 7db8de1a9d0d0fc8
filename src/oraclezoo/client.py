"""HTTP client for ``oraclezoo serve``.

    from oraclezoo.client import Client

    with Client("http://127.0.0.1:8000") as client:
        predictions = client.predict(["bone.jpg", "scan.tif"])

The client requires httpx (``pip install 'oraclezoo[serve]'``), but neither torch nor ONNX Runtime.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from oraclezoo.errors import DataError, OracleZooError, UsageError

if TYPE_CHECKING:
    import httpx

Picture = str | Path | bytes
"""An image file: its path or its bytes."""

_BUSY = 429


class ServerError(OracleZooError):
    """A request that the server rejected, or that did not reach it.

    Attributes:
        status: HTTP status; 0 if there was no response.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Candidate:
    """A class and its probability."""

    label: int
    name: str
    glyph: str
    probability: float


@dataclass(frozen=True, slots=True)
class ImagePrediction:
    """Result for one image.

    Attributes:
        file: Name of the image.
        top: The most probable classes, best first.
        inverted: Whether the character was darker than its background.
        box: Left, top, width and height of the character in pixels of the upright image.
        reason: Why the image could not be read; "" if it was. The other fields are then empty.
        unknown_score: Score in [0, 1], higher for characters that the model does not know; None if
            the model has no detector for them.
        unknown: Whether the score reaches the model's threshold; None without a detector.
        number: Position of the character in the image in reading order, from 1; None unless
            ``several`` was requested.
    """

    file: str
    top: tuple[Candidate, ...] = ()
    inverted: bool = False
    box: tuple[int, int, int, int] | None = None
    reason: str = ""
    unknown_score: float | None = None
    unknown: bool | None = None
    number: int | None = None

    @property
    def best(self) -> Candidate:
        """Return the predicted class. Raises DataError if the image could not be read."""
        if not self.top:
            raise DataError(f"{self.file}: {self.reason}")
        return self.top[0]


class Client:
    """Client that sends images to a server and returns its predictions.

    Args:
        url: Address of the server.
        token: Bearer token, if the server requires one.
        timeout: Seconds to wait for a response.
        retries: How often to retry a request when the server is busy, after the pause that the
            server asks for.

    Raises:
        UsageError: httpx is not installed, ``url`` is not an HTTP address, or ``token`` cannot be
            sent.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise UsageError(
                "oraclezoo.client needs httpx\nInstall it: pip install 'oraclezoo[serve]'"
            ) from error
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"'{url}' is not an HTTP address, e.g. http://127.0.0.1:8000")
        token = (token or "").strip()  # files end with a newline
        if not token.isascii() or not token.isprintable() or " " in token:
            raise UsageError("the token must contain only printable ASCII characters, no spaces")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout)
        except httpx.InvalidURL as error:
            raise UsageError(f"'{url}' is not an HTTP address ({error})") from error
        self.url, self.retries = url, retries

    def predict(
        self,
        images: Picture | Iterable[Picture],
        *,
        model: str | None = None,
        top: int = 3,
        polarity: str | None = None,
        box: tuple[int, int, int, int] | None = None,
        several: str | None = None,
    ) -> list[ImagePrediction]:
        """Classify images in a single request.

        Args:
            images: One or several files, by path or content.
            model: Name of the model; the server's default for None.
            top: Number of classes to return for each image.
            polarity: ``light-on-dark`` or ``dark-on-light``; None to detect it.
            box: Left, top, width and height of the character in every image; None to detect it.
            several: ``columns`` or ``rows``: read every separate character of an image, in this
                order; None reads one.

        Returns:
            A result for each image, in order; with ``several``, one for each character. An image
            that cannot be read has a ``reason``.

        Raises:
            DataError: A file cannot be opened.
            ServerError: The server rejected the request or did not respond.
        """
        pictures = [images] if isinstance(images, (str, Path, bytes)) else list(images)
        if not pictures:
            return []
        files = [("images", (str(n), _content(each))) for n, each in enumerate(pictures)]
        options = {
            "model": model,
            "top": str(top),
            "polarity": polarity,
            "box": box and ",".join(map(str, box)),
            "several": several,
        }
        query = {name: value for name, value in options.items() if value is not None}
        data = self._send("POST", "/v1/predict", params=query, files=files)["data"]
        # parts are named by position: paths may repeat, and must not leave this machine
        names = {
            str(n): f"image {n + 1}" if isinstance(each, bytes) else str(each)
            for n, each in enumerate(pictures)
        }
        rows: dict[str, list[dict[str, Any]]] = {position: [] for position in names}
        for row in (*data["images"], *data["unreadable"]):
            rows[row["file"]].append(row)
        return [_prediction(names[position], row) for position in names for row in rows[position]]

    def models(self) -> list[dict[str, Any]]:
        """Return the entries of the served models; the first is the default. Raises ServerError."""
        entries: list[dict[str, Any]] = self._send("GET", "/v1/models")["models"]
        return entries

    def ready(self) -> bool:
        """Return whether the server accepts requests; also False if there is no response."""
        try:
            self._send("GET", "/readyz")
        except ServerError:
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Send a request and return the JSON of the response; retry while the server is busy."""
        import httpx

        attempt = 0
        while True:
            try:
                response = self._http.request(method, path, **content)
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                raise ServerError(
                    f"{self.url} does not answer ({reason})\nIs 'oraclezoo serve' running there?"
                ) from error
            if response.status_code != _BUSY or attempt >= self.retries:
                return self._checked(response)
            attempt += 1
            time.sleep(_pause(response.headers))

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        """Return the JSON of a response. Raises ServerError if it is an error."""
        status = response.status_code
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ServerError(f"{self.url} is not an oraclezoo server (status {status})", status)
        if status >= 400 and "data" not in document:  # with data, each image has a reason
            raise ServerError(f"{self.url}: {document.get('error', 'rejected')} ({status})", status)
        return document


def _content(picture: Picture) -> bytes:
    """Return the bytes of a file. Raises DataError if it cannot be opened."""
    if isinstance(picture, bytes):
        return picture
    try:
        return Path(picture).read_bytes()
    except OSError as error:
        raise DataError(f"{picture}: cannot be read ({error.strerror or error})") from error


def _prediction(name: str, row: Mapping[str, Any]) -> ImagePrediction:
    if "reason" in row:
        return ImagePrediction(name, reason=row["reason"])
    return ImagePrediction(
        name,
        tuple(Candidate(**each) for each in row["top"]),
        row["inverted"],
        (row["box"]["x"], row["box"]["y"], row["box"]["width"], row["box"]["height"]),
        unknown_score=row.get("unknown_score"),
        unknown=row.get("unknown"),
        number=row.get("number"),
    )


def _pause(headers: Mapping[str, str]) -> float:
    """Return how many seconds to wait before retrying."""
    text = headers.get("retry-after", "")
    return min(float(text), 60.0) if text.isdecimal() else 1.0
