"""Atomic file writes, and locks between processes.

This module is cheap to import, because every package writes files through it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from oraclezoo.errors import InUseError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # open files cannot be locked

STALE_S = 24 * 3600.0
"""Age in seconds at which a temporary file counts as abandoned, on file systems without locks."""

DISK_ERRORS = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EFBIG", "EROFS")
    if hasattr(errno, name)  # Windows has no quotas
)
"""Errors of a write: file system full, over quota, damaged or read-only, or file too large."""

LOCK = ".lock"
"""Name of the lock file in a folder (see :func:`exclusive`)."""

PENDING = ".pending"
"""Subfolder with the files of an incomplete save (see :func:`replace_files`)."""

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_PARTIAL = re.compile(r"\..+\.(\d+)\.partial")
"""Pattern of the temporary files of version 0.1, which contain the number of their process."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the path of the file being written to errors for a full disk, which do not name it.

    Args:
        path: The file that the block writes to.

    Yields:
        None.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in DISK_ERRORS:
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file, open for reading and writing, that replaces ``path`` after the block.

    If the block raises, the temporary file is removed and ``path`` is unchanged. Temporary files
    left in the folder by killed processes are removed first.

    Args:
        path: The file to write.

    Yields:
        The temporary file, in binary mode.

    Raises:
        OSError: If the file cannot be written.
    """
    sweep(path.parent)
    temporary, file = _temporary(path)
    try:
        with naming(path), file:
            yield file
            file.flush()
            settle(file)
            if fcntl is not None:  # still locked, so that no other process deletes it
                temporary.replace(path)
        if fcntl is None:  # Windows does not rename open files
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes) -> Path:
    """Write a file atomically, creating its folder (see :func:`replacing`).

    Args:
        path: The file to write.
        content: Its new content.

    Returns:
        ``path``.

    Raises:
        OSError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)
    return path


def replace_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace several files of a folder atomically: readers see either all old or all new files.

    The files are first written to a temporary subfolder. They become current when it is renamed to
    :data:`PENDING`; then they are moved to their final paths. If the process is killed in between,
    the next call completes the move. Read them with :func:`current`. Temporary files left in the
    folder by killed processes are removed first.

    Args:
        folder: The folder; it is created if necessary.
        files: Content by file name.

    Raises:
        OSError: If a file cannot be written. The old files remain current.
        InUseError: If another process writes to the folder.
    """
    with exclusive(folder):
        _complete(folder)
        sweep(folder)
        for abandoned in folder.glob(f"{PENDING}.*.tmp"):
            shutil.rmtree(abandoned, ignore_errors=True)
        staged = folder / f"{PENDING}.{secrets.token_hex(8)}.tmp"
        try:
            staged.mkdir()
            for name, content in files.items():
                with naming(folder / name), (staged / name).open("xb") as file:
                    file.write(content)
                    file.flush()
                    settle(file)
            staged.rename(folder / PENDING)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        _complete(folder)


def current(folder: Path, name: str) -> Path:
    """Return the path of the current version of a file that :func:`replace_files` wrote.

    Args:
        folder: The folder.
        name: The file's name.

    Returns:
        The path, whether or not the file exists.
    """
    pending = folder / PENDING / name
    return pending if pending.is_file() else folder / name


def append_line(path: Path, line: str) -> None:
    """Append a line to a file in one write, so that lines of several processes do not mix.

    If a killed process left the last line incomplete, a newline is added first. The file is created
    if necessary; ``line`` has no newline. Raises OSError if the file cannot be written.
    """
    with naming(path), path.open("a+b", buffering=0) as file:
        end = b""
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            end = b"" if file.read(1) == b"\n" else b"\n"
        file.write(end + line.encode() + b"\n")
        os.fsync(file.fileno())


def _complete(folder: Path) -> None:
    """Move pending files to their final paths."""
    pending = folder / PENDING
    if not pending.is_dir():
        return
    for path in sorted(pending.iterdir()):
        path.replace(folder / path.name)
    pending.rmdir()


def settle(file: BinaryIO) -> None:
    """Flush a file to disk, so that a power failure after the rename cannot lose its content.

    Args:
        file: The open file.
    """
    os.fsync(file.fileno())


def sweep(folder: Path) -> None:
    """Remove temporary files left in ``folder`` by killed processes (see :func:`replacing`).

    A running process holds a lock on its temporary file, which is released when the process ends.

    Args:
        folder: The folder; it need not exist.
    """
    with suppress(OSError):  # a later write reports a missing or read-only folder
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                _remove_if_abandoned(path)
            elif (partial := _PARTIAL.fullmatch(path.name)) and not _is_running(int(partial[1])):
                path.unlink()


@contextmanager
def alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock for ``path`` across processes and threads during the block.

    The lock is an empty file next to ``path``. It is never removed, since waiting processes could
    otherwise lock different files.

    Args:
        path: The file to lock.
        waiting: Called once if another process or thread has the lock.

    Yields:
        None, while the lock is held.

    Raises:
        OSError: If the file system has no locks or the lock file cannot be written.
    """
    import filelock  # 40 ms to import, only needed to write

    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        waiting()
        lock.acquire()
    except NotImplementedError as error:
        raise OSError(f"the file system of {path.parent} does not support locks") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Lock a folder for this thread during the block; other processes and threads get InUseError.

    The operating system releases the lock if the process dies. The block may lock the same folder
    again. Afterwards, the lock file is removed, and so are the folders created for it if empty.

    Args:
        folder: The folder; it is created if necessary.

    Yields:
        None, while the lock is held.

    Raises:
        InUseError: If another process or thread has locked the folder.
        OSError: If the folder cannot be written.
    """
    import filelock  # 40 ms to import, only needed to write

    created = [path for path in (folder, *folder.parents) if not path.exists()]
    lock = filelock.FileLock(folder.resolve() / LOCK, is_singleton=True)
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InUseError(
                f"{folder} is in use by another process: wait until it ends, or choose another "
                "folder"
            ) from None
        except NotImplementedError:  # a file system without locks
            yield
            return
        if (folder / LOCK).exists():
            break
        lock.release()  # the previous owner removed the file after it was opened here
    try:
        yield
    finally:
        if lock.lock_counter == 1:
            _remove_lock(folder, created)
        lock.release()


def _remove_lock(folder: Path, created: list[Path]) -> None:
    """Remove the lock file of a folder locked by this thread, and empty folders created for it."""
    with suppress(OSError):  # Windows does not remove open files
        (folder / LOCK).unlink()
        for path in created:
            path.rmdir()


def _is_running(process: int) -> bool:
    """Return whether a process with this number is running on this machine, as far as known."""
    if os.name == "nt":  # where os.kill would interrupt it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _temporary(path: Path) -> tuple[Path, BinaryIO]:
    """Create and lock a temporary file for ``path``."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        file = temporary.open("x+b")
        if fcntl is None:
            return temporary, file
        with suppress(OSError):  # a file system without locks; age decides there
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()  # deleted between creation and locking


def _remove_if_abandoned(path: Path) -> None:
    with suppress(OSError):
        if fcntl is None:
            _remove_if_old(path)
            return
        # does not follow links or block on a pipe
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            pass  # another process is writing it
        except OSError:
            _remove_if_old(path)
        finally:
            os.close(descriptor)


def _remove_if_old(path: Path) -> None:
    if time.time() - path.lstat().st_mtime > STALE_S:
        path.unlink()
