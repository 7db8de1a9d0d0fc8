"""Upload and download locked data sets with fsspec, to object stores and other file systems.

A remote folder stores each file under its SHA-256, as ``ab/abcdef...``. Versions of a data set
therefore share unchanged files, and an upload never replaces a file.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oraclezoo.data.download import without_password
from oraclezoo.data.lock import check_files
from oraclezoo.errors import DataError, DownloadError
from oraclezoo.recipe.data_lock import DataLock, LockedFile
from oraclezoo.storage import alone, replacing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Say = Callable[[str], None]
"""Called with progress messages."""

_CHUNK = 1 << 20
_ATOMIC = {"s3", "s3a", "gs", "gcs", "az", "abfs", "adl", "memory"}
"""Protocols whose uploads become visible only when complete."""

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def push(lock: DataLock, folder: Path, remote: str, progress: Say | None = None) -> int:
    """Upload the files of a lock that are missing in the remote folder.

    Args:
        lock: The lock.
        folder: Folder with the files, which must match the lock.
        remote: URL of the remote folder in fsspec's syntax: ``s3://bucket/folder``, ``gs://``,
            ``file://`` or a path. Credentials come from the environment.
        progress: Called with progress messages.

    Returns:
        The number of files uploaded.

    Raises:
        DataError: If a file does not match the lock, or the remote folder cannot be written.

    Example:
        >>> from pathlib import Path
        >>> from oraclezoo.recipe.data_lock import DataLock
        >>> push(DataLock.read(Path("bones.lock.toml")), Path("bones"),
        ...      "s3://museum/bones")  # doctest: +SKIP
        4
    """
    wrong = [check for check in check_files(lock, folder) if check.status != "ok"]
    if wrong:
        raise DataError(
            f"{folder / wrong[0].name}: {wrong[0].status}; it is not the file in the lock "
            "(run 'oraclezoo data lock' after a change)"
        )
    files, root = _opened(remote)
    uploaded = 0
    with _naming(remote):
        for name, file in lock.files.items():
            target = f"{root}/{_key(file)}"
            if files.exists(target) and files.size(target) == file.size_bytes:
                continue
            if progress is not None:
                progress(f"uploading {name} ({file.size_bytes:,} bytes)")
            files.makedirs(files._parent(target), exist_ok=True)
            _upload(files, folder / name, target)
            uploaded += 1
    return uploaded


def pull(lock: DataLock, folder: Path, remote: str, progress: Say | None = None) -> int:
    """Download the files of a lock that are missing in a folder; verify their size and SHA-256.

    A file that does not match is replaced only by a complete, verified one. Processes that need the
    same file wait for each other.

    Args:
        lock: The lock.
        folder: Destination; created if missing.
        remote: URL of the remote folder, as for :func:`push`.
        progress: Called with progress messages.

    Returns:
        The number of files downloaded.

    Raises:
        DownloadError: If a file cannot be downloaded or does not match the lock.
        DataError: If the folder cannot be written.
    """
    wanted = {check.name for check in check_files(lock, folder) if check.status != "ok"}
    if not wanted:
        return 0
    files, root = _opened(remote)
    say = progress or (lambda _: None)
    for name in sorted(wanted):
        file, path = lock.files[name], folder / name
        say(f"downloading {name} ({file.size_bytes:,} bytes)")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (
                alone(path, lambda: say("waiting for another process to download it")),
                replacing(path) as target,
            ):
                for chunk in _verified(files, f"{root}/{_key(file)}", file, remote):
                    target.write(chunk)
        except OSError as error:
            raise DataError(f"cannot write {path} ({error.strerror or error})") from error
    return len(wanted)


def _key(file: LockedFile) -> str:
    return f"{file.sha256[:2]}/{file.sha256}"


def _opened(remote: str) -> tuple[Any, str]:
    """Return the file system for a URL and the path in it."""
    from fsspec.core import url_to_fs  # 40 ms to import

    protocol = remote.partition("://")[0] if "://" in remote else "file"
    try:
        files, root = url_to_fs(remote)
    except ImportError as error:
        package = _PACKAGES.get(protocol, "fsspec's package for it")
        raise DataError(f"{protocol}:// requires {package}: pip install {package}") from error
    except Exception as error:
        raise DataError(f"{without_password(remote)}: {error}") from error
    return files, str(root).rstrip("/")


def _upload(files: AbstractFileSystem, path: Path, target: str) -> None:
    protocol = files.protocol if isinstance(files.protocol, str) else files.protocol[0]
    if protocol in _ATOMIC:
        files.put_file(str(path), target)
        return
    partial = f"{target}.{uuid.uuid4().hex[:12]}.partial"
    try:
        files.put_file(str(path), partial)
        files.mv(partial, target)
    except BaseException:
        with suppress(Exception):
            files.rm_file(partial)
        raise


def _verified(
    files: AbstractFileSystem, source: str, file: LockedFile, remote: str
) -> Iterator[bytes]:
    """Yield the content of a remote file; raise DownloadError at the end if it does not match."""
    state, size = hashlib.sha256(), 0
    with _naming(remote):
        with files.open(source, "rb") as opened:
            while chunk := opened.read(_CHUNK):
                size += len(chunk)
                if size > file.size_bytes:
                    break
                state.update(chunk)
                yield chunk
        if size != file.size_bytes or state.hexdigest() != file.sha256:
            raise DownloadError(
                f"{without_password(remote)}: {_key(file)} is not the file in the lock; "
                "push the data again"
            )


@contextmanager
def _naming(remote: str) -> Iterator[None]:
    """Convert errors of remote file systems, which have no common class, to DownloadError."""
    try:
        yield
    except (DataError, GeneratorExit):
        raise
    except FileNotFoundError as error:
        raise DownloadError(
            f"{without_password(remote)}: no such file ({error.filename or error}); "
            "'oraclezoo data push' uploads it"
        ) from error
    except Exception as error:
        raise DownloadError(
            f"{without_password(remote)}: {type(error).__name__}: {error}"
        ) from error
