"""Oracle-MNIST's files from upstream's git repository: verified, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from oraclezoo.data import upstream
from oraclezoo.data.atomic import replacing
from oraclezoo.data.locate import check, download_folder, find, search
from oraclezoo.data.upstream import UpstreamFile, known
from oraclezoo.errors import DataError, DownloadError

VARIABLE = "ORACLEZOO_DATA_URL"
"""Environment variable that names a mirror: the URL of a folder with the four .gz files."""

INSTEAD = (
    "Instead: --data-dir FOLDER with the files, a mirror's folder in $ORACLEZOO_DATA_URL, "
    "or --track glyphs-3k, which needs no download."
)


def fetch(
    names: Iterable[str] | None = None,
    *,
    dest: Path | None = None,
    url: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Download upstream's files ``names`` (all four by default) and return where they are.

    ``dest`` is the folder (default: the user's cache), ``url`` the folder to download from
    (default: $ORACLEZOO_DATA_URL, else upstream's repository). A file that is in ``dest`` and
    matches its digest is kept; any other is replaced. ``progress`` gets a line a file.

    Raises DownloadError, with no part of a file left behind; UnknownNameError.
    """
    files = [known(name) for name in (upstream.FILES if names is None else names)]
    folder = dest or download_folder()
    base = (url or os.environ.get(VARIABLE) or upstream.URL).rstrip("/")
    places: dict[str, Path] = {}
    for file in files:
        path = places[file.name] = folder / file.name
        if path.is_file() and check(file, path).status == "ok":
            continue
        if progress is not None:
            progress(f"downloading {file.name} from {base}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as target:
                _download(f"{base}/{file.name}", target, file)
        except OSError as error:
            raise DownloadError(
                f"cannot write {path} ({error.strerror or error})\n{INSTEAD}"
            ) from error
    return places


def ensure(
    names: Iterable[str],
    data_dir: Path | None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Where upstream's files ``names`` are; those found nowhere are downloaded into the cache.

    With ``data_dir`` nothing is downloaded. Raises DataError, DownloadError.
    """
    if data_dir is not None:
        return find(names, data_dir)
    found = search(names, None)
    fetched = fetch([name for name, path in found.items() if path is None], progress=progress)
    return {name: path or fetched[name] for name, path in found.items()}


def verified(file: UpstreamFile, path: Path) -> Path:
    """``path``, once its bytes are the published ones. Raises DataError."""
    result = check(file, path)
    if result.status == "ok":
        return path
    if result.status == "unreadable":
        raise DataError(f"{path}: cannot be read")
    raise DataError(
        f"{path}: its {result.kind} is {result.actual[:16]}…, not {result.expected[:16]}…: this is "
        "not Oracle-MNIST's published file\nGet it by 'oraclezoo data fetch'; data of your own go "
        "by --track idx."
    )


class _Bounded:
    """A file that refuses to grow past ``limit`` bytes, whatever a server sends."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file, self._left = file, limit

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise DownloadError("the server sends more than the file's size")
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _download(url: str, target: BinaryIO, file: UpstreamFile) -> None:
    import pooch
    import requests  # what pooch downloads by; needed for its exceptions

    get = pooch.HTTPDownloader(
        chunk_size=1 << 16, timeout=30, headers={"Accept-Encoding": "identity"}
    )
    try:
        get(url, _Bounded(target, file.max_bytes), None)
    except DownloadError as error:
        raise DownloadError(f"{url}: {error}\n{INSTEAD}") from None
    except (requests.RequestException, ValueError) as error:
        raise DownloadError(f"{url}: {_reason(error)}\n{INSTEAD}") from error
    target.flush()
    target.seek(0)
    start = target.read(64).lstrip()
    if start.startswith(b"<"):
        raise DownloadError(f"{url}: a web page came instead of the file\n{INSTEAD}")
    actual = upstream.digest_stream(target, file.kind)
    if actual != file.digest:
        raise DownloadError(
            f"{url}: the {file.kind} of what came is {actual[:16]}…, not {file.digest[:16]}…; "
            f"it is cut short or another file\n{INSTEAD}"
        )


def _reason(error: Exception) -> str:
    """What went wrong, in a few words instead of a library's chain of exceptions."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the download was cut short"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return f"cannot be downloaded ({error})"
