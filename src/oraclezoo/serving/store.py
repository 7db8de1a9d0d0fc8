"""Folders of bundled and downloaded models, verified on each use."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from oraclezoo.data.download import obtain
from oraclezoo.data.locate import cache_folder, user_cache
from oraclezoo.data.upstream import UpstreamFile, digest
from oraclezoo.documents import read_json
from oraclezoo.errors import DownloadError, ResultError
from oraclezoo.serving.listing import MODELS
from oraclezoo.storage import alone, replacing

CARD = "model.json"
MAX_FILES = 1_000
MAX_GROWTH = 20
"""Maximum ratio of the total size of an archive's files to the archive's size."""

INSTEAD = "Or copy the model's folder from another machine and pass its path."

Say = Callable[[str], None]
Received = Callable[[str, int, int | None], None]


def store_folder() -> Path:
    """Return the folder for downloaded models, which may not exist."""
    return cache_folder() / "models"


def shipped(*, name: str, files: Mapping[str, str], progress: Say | None = None) -> Path:
    """Return the folder of a bundled model after verifying its ``files`` (name -> SHA-256).

    Raises ResultError if a file is missing or corrupt.
    """
    folder = MODELS / name
    for file, sha256 in files.items():
        path = folder / file
        actual = digest(path) if path.is_file() else "missing"
        if actual != sha256:
            raise ResultError(
                f"{path} is {'missing' if actual == 'missing' else 'corrupt'}: "
                "reinstall oraclezoo (pip install --force-reinstall)"
            )
    return folder


def place(name: str, sha256: str) -> Path:
    """Return the folder of a downloaded model, which may not exist."""
    return store_folder() / f"{name.replace('/', '-')}-{sha256[:16]}"


def is_fetched(name: str, sha256: str) -> bool:
    """Return whether a model is present and matches its archive."""
    return user_cache() is not None and _is_whole(place(name, sha256), sha256)


def fetched(
    *,
    name: str,
    url: str,
    sha256: str,
    size_bytes: int,
    progress: Say | None = None,
    received: Received | None = None,
) -> Path:
    """Return the folder of a model in the user's cache, downloading it if necessary.

    The archive is unpacked atomically after its SHA-256 is verified. The digests of its files are
    stored; if a file no longer matches, the model is downloaded again. Concurrent processes that
    need the same model wait for each other. Raises DownloadError, ResultError.
    """
    say = progress or (lambda _: None)
    folder = place(name, sha256)
    if _is_whole(folder, sha256):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with alone(folder, lambda: say(f"{name}: waiting for another process to download it")):
            if not _is_whole(folder, sha256):
                archive = folder.with_name(f"{folder.name}.tar")
                _obtain(
                    UpstreamFile(archive.name, "sha256", sha256, size_bytes, None),
                    archive,
                    url,
                    say,
                    received,
                )
                _unpack(archive, folder, sha256, MAX_GROWTH * size_bytes)
                archive.unlink()
    except OSError as error:
        raise DownloadError(
            f"{error.filename or folder}: {error.strerror or error}\n{INSTEAD}"
        ) from error
    return folder


def _obtain(
    file: UpstreamFile, archive: Path, url: str, say: Say, received: Received | None
) -> None:
    """Download or copy the archive and verify it. Raises DownloadError, OSError."""
    if not url.startswith("file:"):
        obtain(file, archive, url, instead=INSTEAD, progress=say, received=received)
        return
    from urllib.parse import urlsplit
    from urllib.request import url2pathname  # takes 40 ms to import

    source = Path(url2pathname(urlsplit(url).path))
    say(f"copying {source}")
    hasher = hashlib.sha256()
    with source.open("rb") as old, replacing(archive) as new:
        while chunk := old.read(1 << 20):
            hasher.update(chunk)
            new.write(chunk)
            if new.tell() > file.max_bytes:
                raise DownloadError(f"{source}: larger than {file.max_bytes:,} bytes\n{INSTEAD}")
        if hasher.hexdigest() != file.digest:
            raise DownloadError(
                f"{source}: wrong or corrupt file: its SHA-256 is {hasher.hexdigest()}, expected "
                f"{file.digest}\n{INSTEAD}"
            )


def _unpack(archive: Path, folder: Path, sha256: str, max_bytes: int) -> None:
    """Replace ``folder`` with the content of ``archive``. Raises ResultError, OSError."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        try:
            with tarfile.open(archive) as tar:
                members = _checked(tar, max_bytes)
                tar.extractall(temporary, members=members, filter="data")
        except OSError:
            raise
        except Exception as error:  # tarfile's own errors, and those of each decompressor
            raise ResultError(f"{archive.name}: not a valid model archive ({error})") from error
        root = _root(temporary, archive.name)
        document = {"archive": sha256, "files": _digests(root)}
        shutil.rmtree(folder, ignore_errors=True)
        _note(folder).unlink(missing_ok=True)
        root.replace(folder)
        with replacing(_note(folder)) as file:
            file.write(json.dumps(document, indent=2).encode())
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checked(tar: tarfile.TarFile, max_bytes: int) -> list[tarfile.TarInfo]:
    """Return the files and folders of an archive.

    Raises ValueError for other kinds of members, or if they are too many or too large.
    """
    members: list[tarfile.TarInfo] = []
    total = 0
    for member in tar:
        if not (member.isreg() or member.isdir()):
            raise ValueError(f"{member.name} is neither a file nor a folder")
        members.append(member)
        total += member.size
        if total > max_bytes or len(members) > MAX_FILES:
            raise ValueError(f"more than {MAX_FILES:,} files or {max_bytes:,} bytes when unpacked")
    return members


def _root(folder: Path, name: str) -> Path:
    """Return ``folder`` or its subfolder with the model card. Raises ResultError."""
    places = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    matches = [path for path in places if (path / CARD).is_file()]
    if len(matches) != 1:
        raise ResultError(f"{name}: must contain exactly one {CARD}, found {len(matches)}")
    return matches[0]


def _note(folder: Path) -> Path:
    """Return the path, next to a downloaded model, of the file with its files' digests."""
    return folder.with_name(f"{folder.name}.json")


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def _is_whole(folder: Path, sha256: str) -> bool:
    """Return whether ``folder`` holds exactly the files of its archive."""
    try:
        document = read_json(_note(folder))
        return bool(document == {"archive": sha256, "files": _digests(folder)})
    except (OSError, ValueError):
        return False
