"""Where Oracle-MNIST's files lie on this machine, and whether they are the published ones."""

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
    """One file held against its published digest; ``actual`` is "" where there is none."""

    name: str
    path: Path | None
    status: Status
    kind: DigestKind
    expected: str
    actual: str


def cache_folder() -> Path:
    """The user's cache folder for oraclezoo; it need not exist."""
    return Path(platformdirs.user_cache_dir("oraclezoo", appauthor=False))


def download_folder() -> Path:
    """Where downloads of Oracle-MNIST land; it need not exist."""
    return cache_folder() / "oracle-mnist"


def folders(data_dir: Path | None) -> tuple[Path, ...]:
    """Folders to search, in order: ``data_dir`` alone if given, else $ORACLEZOO_DATA, the cache.

    Raises DataError if a folder that the user named is not there.
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
    """``file`` in ``folder``, as .gz or else unpacked if that form can be verified, or None."""
    packed, unpacked = folder / file.name, folder / file.unpacked_name
    if packed.is_file():
        return packed
    if file.unpacked_sha256 is not None and unpacked.is_file():
        return unpacked
    return None


def search(names: Iterable[str], data_dir: Path | None) -> dict[str, Path | None]:
    """Upstream's name of each file -> the first place where it is, or None.

    Raises DataError if a folder that the user named is not there; UnknownNameError.
    """
    places = folders(data_dir)
    found: dict[str, Path | None] = {}
    for name in names:
        file = known(name)
        found[name] = next((p for f in places if (p := in_folder(file, f)) is not None), None)
    return found


def find(names: Iterable[str], data_dir: Path | None) -> dict[str, Path]:
    """As :func:`search`, but every file must be there. Raises DataError that names those missing.

    Nothing is opened.
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
    """Each of upstream's four files in ``folder``, held against its published digest."""
    return [check(file, in_folder(file, folder)) for file in FILES.values()]


def check(file: UpstreamFile, path: Path | None) -> FileCheck:
    """``path`` held against the digest that ``file`` must have. Raises nothing for a bad file."""
    if path is None:
        return FileCheck(file.name, None, "missing", file.kind, file.digest, "")
    kind, expected = file.expected(path)
    try:
        actual = digest(path, kind)
    except OSError:
        return FileCheck(file.name, path, "unreadable", kind, expected, "")
    status: Status = "ok" if actual == expected else "mismatch"
    return FileCheck(file.name, path, status, kind, expected, actual)
