"""Oracle-MNIST's files from upstream's repository or a mirror, verified."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from oraclezoo.data import upstream
from oraclezoo.data.download import Received, Settings, obtain
from oraclezoo.data.locate import check, download_folder, find, search
from oraclezoo.data.upstream import UpstreamFile, known
from oraclezoo.errors import DataError

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
    received: Received | None = None,
    settings: Settings | None = None,
) -> dict[str, Path]:
    """Download upstream's files ``names`` (all four by default) and return their paths.

    ``dest`` is the folder (default: the user's cache), ``url`` the folder to download from
    (default: $ORACLEZOO_DATA_URL, otherwise upstream's repository). A file in ``dest`` that matches
    its digest is kept; any other is replaced. ``progress`` gets lines, ``received`` the bytes as
    they arrive.

    Raises DownloadError, with ``dest``'s file as it was before; UnknownNameError.
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
    """Return the paths of upstream's files ``names``; download missing ones to the cache.

    With ``data_dir``, nothing is downloaded. Raises DataError, DownloadError.
    """
    if data_dir is not None:
        return find(names, data_dir)
    found = search(names, None)
    fetched = fetch([name for name, path in found.items() if path is None], progress=progress)
    return {name: path or fetched[name] for name, path in found.items()}


def verified(file: UpstreamFile, path: Path) -> Path:
    """Return ``path`` after verifying that it is the published file. Raises DataError."""
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
