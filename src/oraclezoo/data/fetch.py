"""Download Oracle-MNIST's files from the official repository or a mirror."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from oraclezoo.data import upstream
from oraclezoo.data.download import Received, Settings, obtain
from oraclezoo.data.locate import check, download_folder, find, is_earlier, search
from oraclezoo.data.upstream import UpstreamFile, known
from oraclezoo.errors import DataError

VARIABLE = "ORACLEZOO_DATA_URL"
"""Environment variable with the URL of a mirror: a folder with the four .gz files."""

INSTEAD = (
    "Alternatives: --data-dir FOLDER with the files, the URL of a mirror in $ORACLEZOO_DATA_URL, "
    "or --track glyphs-3k, which needs no download."
)


def fetch(
    names: Iterable[str] | None = None,
    *,
    dest: Path | None = None,
    url: str | None = None,
    progress: Callable[[str], None] | None = None,
    received: Received | None = None,
    settings: Settings | None = None,
) -> dict[str, Path]:
    """Download and verify Oracle-MNIST's files.

    Existing files in ``dest`` that match their digests are kept; other files are replaced.

    Args:
        names: Names of the files; all four by default.
        dest: Destination folder; the user's cache by default.
        url: URL of the source folder; $ORACLEZOO_DATA_URL or the official repository by default.
        progress: Called with progress messages.
        received: Called with the number of bytes as they arrive.
        settings: Limits of the downloads; defaults if None.

    Returns:
        Path of each file, keyed by name.

    Raises:
        UnknownNameError: If no official file has this name.
        DownloadError: If a file cannot be downloaded; the existing file is unchanged.
    """
    files = [known(name) for name in (upstream.FILES if names is None else names)]
    folder = dest or download_folder()
    base = (url or os.environ.get(VARIABLE) or upstream.URL).rstrip("/")
    places: dict[str, Path] = {}
    for file in files:
        path = places[file.name] = folder / file.name
        obtain(
            file,
            path,
            f"{base}/{file.name}",
            instead=INSTEAD,
            progress=progress,
            received=received,
            settings=settings,
        )
    return places


def ensure(
    names: Iterable[str],
    data_dir: Path | None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Locate Oracle-MNIST's files, and download missing files into the cache.

    Args:
        names: Names of the files.
        data_dir: Folder that must contain the files, which disables downloads; None for the default
            folders.
        progress: Called with progress messages.

    Returns:
        Path of each file, keyed by name.

    Raises:
        DataError: If a file is missing in ``data_dir``, or a folder does not exist.
        DownloadError: If a file cannot be downloaded.
    """
    if data_dir is not None:
        return find(names, data_dir)
    located = search(names, None)
    fetched = fetch([name for name, path in located.items() if path is None], progress=progress)
    return {name: path or fetched[name] for name, path in located.items()}


def verified(file: UpstreamFile, path: Path) -> Path:
    """Verify the digest of a file and return its path.

    Args:
        file: The published file.
        path: The local file.

    Returns:
        ``path``.

    Raises:
        DataError: If the digest differs or the file cannot be read.
    """
    result = check(file, path)
    if result.status == "ok":
        return path
    if result.status == "unreadable":
        raise DataError(f"{path}: cannot be read")
    if is_earlier(result):
        raise DataError(
            f"{path}: upstream's upload of {upstream.EARLIER}; results use that of "
            f"{upstream.CURRENT}: {upstream.ORDERS}\n"
            "Run 'oraclezoo data fetch' to download the file."
        )
    raise DataError(
        f"{path}: {result.kind} mismatch (expected {result.expected[:16]}…, got "
        f"{result.actual[:16]}…): not the published Oracle-MNIST file\n"
        "Run 'oraclezoo data fetch' to download it, or use --track idx for your own data."
    )
