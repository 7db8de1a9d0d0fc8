"""Location and verification of Oracle-MNIST's files on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from oraclezoo.data.upstream import FILES, DigestKind, UpstreamFile, digest, known
from oraclezoo.errors import DataError

VARIABLE = "ORACLEZOO_DATA"
"""Environment variable that names a folder with the files."""

Status = Literal["ok", "missing", "mismatch", "unreadable"]


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Verification of a file; ``actual`` is "" if its digest cannot be computed."""

    name: str
    path: Path | None
    status: Status
    kind: DigestKind
    expected: str
    actual: str


def cache_folder() -> Path:
    """Return the user's cache folder for oraclezoo; it need not exist."""
    return Path(platformdirs.user_cache_dir("oraclezoo", appauthor=False))


def download_folder() -> Path:
    """Return the download folder of Oracle-MNIST; it need not exist."""
    return cache_folder() / "oracle-mnist"


def folders(data_dir: Path | None) -> tuple[Path, ...]:
    """Return the folders to search: ``data_dir`` alone if given, else $ORACLEZOO_DATA, the cache.

    Raises DataError if a folder that the user named does not exist.
    """
    variable = os.environ.get(VARIABLE)
    if data_dir is not None:
        named, origin = data_dir, "data folder"
    elif variable:
        named, origin = Path(variable), f"${VARIABLE}"
    else:
        return (download_folder(),)
    if not named.is_dir():
        raise DataError(f"{origin} {named}: there is no such folder")
    return (named,) if data_dir is not None else (named, download_folder())


def in_folder(file: UpstreamFile, folder: Path) -> Path | None:
    """Return the path of ``file`` in ``folder``, or None if it is missing.

    The .gz file takes precedence; an unpacked one counts only if it can be verified.
    """
    packed, unpacked = folder / file.name, folder / file.unpacked_name
    if packed.is_file():
        return packed
    if file.unpacked_sha256 is not None and unpacked.is_file():
        return unpacked
    return None


def search(names: Iterable[str], data_dir: Path | None) -> dict[str, Path | None]:
    """Return the first path of each of upstream's files, or None for missing ones.

    Raises DataError if a folder that the user named does not exist; UnknownNameError.
    """
    places = folders(data_dir)
    found: dict[str, Path | None] = {}
    for name in names:
        file = known(name)
        found[name] = next((p for f in places if (p := in_folder(file, f)) is not None), None)
    return found


def find(names: Iterable[str], data_dir: Path | None) -> dict[str, Path]:
    """Return the paths of all files as :func:`search` does, without opening them.

    Raises DataError, which names the missing files.
    """
    found: dict[str, Path] = {}
    missing: list[str] = []
    for name, path in search(names, data_dir).items():
        if path is None:
            missing.append(name)
        else:
            found[name] = path
    if missing:
        places = folders(data_dir)
        unpacked = [folder / known(name).unpacked_name for name in missing for folder in places]
        useless = "".join(
            f" ({path.name} cannot be verified)" for path in unpacked if path.exists()
        )
        how = "leave the data folder out" if data_dir is not None else "run 'oraclezoo data fetch'"
        raise DataError(
            f"{' or '.join(map(str, places))}: no {', no '.join(missing)}{useless}\n"
            f"Put the files there, or {how} to have them downloaded."
        )
    return found


def verify(folder: Path) -> list[FileCheck]:
    """Verify each of upstream's four files in ``folder`` against its published digest."""
    return [check(file, in_folder(file, folder)) for file in FILES.values()]


def check(file: UpstreamFile, path: Path | None) -> FileCheck:
    """Verify ``path`` against the digest of ``file``; failures are reported in the status."""
    if path is None:
        return FileCheck(file.name, None, "missing", file.kind, file.digest, "")
    kind, expected = file.expected(path)
    try:
        actual = digest(path, kind)
    except OSError:
        return FileCheck(file.name, path, "unreadable", kind, expected, "")
    status: Status = "ok" if actual == expected else "mismatch"
    return FileCheck(file.name, path, status, kind, expected, actual)
