"""Locate and verify Oracle-MNIST's files on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from oraclezoo.data.upstream import (
    EARLIER,
    FILES,
    DigestKind,
    UpstreamFile,
    digest,
    known,
    upload,
)
from oraclezoo.errors import DataError

VARIABLE = "ORACLEZOO_DATA"
"""Environment variable with the path of the folder with the files."""

Status = Literal["ok", "missing", "mismatch", "unreadable"]


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Result of a digest check.

    Attributes:
        name: Official name of the file.
        path: The local file; None if it is missing.
        status: Result of the check.
        kind: Kind of both digests.
        expected: Published digest, hex.
        actual: Digest of the local file, hex; "" if it cannot be computed.
    """

    name: str
    path: Path | None
    status: Status
    kind: DigestKind
    expected: str
    actual: str


def cache_folder() -> Path:
    """Return the user's cache folder for oraclezoo, which may not exist.

    Raises:
        DataError: If the user has no home folder and no environment variable names a cache folder.
    """
    folder = user_cache()
    if folder is None:
        raise DataError(
            "this user has no home folder for the cache: set HOME or XDG_CACHE_HOME to a folder "
            "that you can write to"
        )
    return folder


def user_cache() -> Path | None:
    """Return the user's cache folder for oraclezoo, or None if the user has no home folder."""
    try:
        folder = Path(platformdirs.user_cache_dir("oraclezoo", appauthor=False))
    except (RuntimeError, KeyError):  # neither HOME nor an entry in the user database
        return None
    return folder if folder.is_absolute() else None  # older versions do not expand "~"


def download_folder() -> Path:
    """Return the folder for Oracle-MNIST downloads, which may not exist."""
    return cache_folder() / "oracle-mnist"


def folders(data_dir: Path | None) -> tuple[Path, ...]:
    """Return the folders to search for Oracle-MNIST's files.

    Args:
        data_dir: The only folder to search; None for $ORACLEZOO_DATA and then the cache.

    Returns:
        The folders in search order.

    Raises:
        DataError: If ``data_dir`` or $ORACLEZOO_DATA does not exist.
    """
    variable = os.environ.get(VARIABLE)
    if data_dir is not None:
        named, origin = data_dir, "data folder"
    elif variable:
        named, origin = Path(variable), f"${VARIABLE}"
    else:
        return (download_folder(),)
    if not named.is_dir():
        raise DataError(f"{origin} {named}: no such folder")
    if data_dir is not None or user_cache() is None:
        return (named,)
    return (named, download_folder())


def in_folder(file: UpstreamFile, folder: Path) -> Path | None:
    """Return the path of a file in a folder, or None if it is missing.

    Args:
        file: The official file.
        folder: The folder.

    Returns:
        The .gz file if it exists, otherwise the unpacked file if its digest is known.
    """
    packed, unpacked = folder / file.name, folder / file.unpacked_name
    if packed.is_file():
        return packed
    if file.unpacked_digest is not None and unpacked.is_file():
        return unpacked
    return None


def search(names: Iterable[str], data_dir: Path | None) -> dict[str, Path | None]:
    """Search for Oracle-MNIST's files.

    Args:
        names: Official names of the files.
        data_dir: The only folder to search; None for the default folders.

    Returns:
        First path found for each file, keyed by name; None if the file is missing.

    Raises:
        DataError: If ``data_dir`` or $ORACLEZOO_DATA does not exist.
        UnknownNameError: If no official file has this name.
    """
    places = folders(data_dir)
    paths: dict[str, Path | None] = {}
    for name in names:
        file = known(name)
        paths[name] = next((p for f in places if (p := in_folder(file, f)) is not None), None)
    return paths


def find(names: Iterable[str], data_dir: Path | None) -> dict[str, Path]:
    """Search for Oracle-MNIST's files, which must all exist; no file is opened.

    Args:
        names: Official names of the files.
        data_dir: The only folder to search; None for the default folders.

    Returns:
        Path of each file, keyed by name.

    Raises:
        DataError: If a file or folder does not exist; the message lists the missing files.
        UnknownNameError: If no official file has this name.
    """
    located: dict[str, Path] = {}
    missing: list[str] = []
    for name, path in search(names, data_dir).items():
        if path is None:
            missing.append(name)
        else:
            located[name] = path
    if missing:
        places = folders(data_dir)
        advice = "omit the data folder" if data_dir is not None else "run 'oraclezoo data fetch'"
        raise DataError(
            f"{' or '.join(map(str, places))}: missing {', '.join(missing)}\n"
            f"Put the files there, or {advice} to download them."
        )
    return located


def is_earlier(check: FileCheck) -> bool:
    """Return whether a checked file belongs to the earlier of the two official uploads.

    Args:
        check: The result of a digest check.

    Returns:
        True for a file of the earlier upload; published results use the later upload.
    """
    return (
        check.status == "mismatch"
        and check.path is not None
        and upload(FILES[check.name], check.path) == EARLIER
    )


def verify(folder: Path) -> list[FileCheck]:
    """Check the digests of Oracle-MNIST's four files in a folder.

    Args:
        folder: The folder.

    Returns:
        The result for each file.
    """
    return [check(file, in_folder(file, folder)) for file in FILES.values()]


def check(file: UpstreamFile, path: Path | None) -> FileCheck:
    """Check a local file against its published digest.

    Args:
        file: The official file.
        path: The local file; None if it is missing.

    Returns:
        The result; a missing or unreadable file is not an error.
    """
    if path is None:
        return FileCheck(file.name, None, "missing", file.kind, file.digest, "")
    kind, expected = file.expected(path)
    try:
        actual = digest(path, kind)
    except OSError:
        return FileCheck(file.name, path, "unreadable", kind, expected, "")
    status: Status = "ok" if actual == expected else "mismatch"
    return FileCheck(file.name, path, status, kind, expected, actual)
