"""Atomic writing of files, and locks between processes."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # None means that open files cannot be locked

STALE_S = 24 * 3600.0
"""Age in seconds after which a temporary file is abandoned, on file systems without locks."""

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file, open for reading and writing, that replaces ``path`` afterwards.

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
        with file:
            yield file
            file.flush()
            settle(file)
            if fcntl is not None:  # while locked, so that no other process sweeps it
                temporary.replace(path)
        if fcntl is None:  # Windows does not rename open files
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def settle(file: BinaryIO) -> None:
    """Flush a file to disk, so that a power failure after the rename cannot lose its content.

    Args:
        file: The open file.
    """
    os.fsync(file.fileno())


def sweep(folder: Path) -> None:
    """Remove temporary files left in ``folder`` by killed processes (see :func:`replacing`).

    A running process holds a lock on its temporary file, which ends with the process.

    Args:
        folder: The folder; it need not exist.
    """
    with suppress(OSError):  # writing reports a missing or unwritable folder
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                _remove_if_abandoned(path)


@contextmanager
def alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock for ``path`` among processes and threads during the block.

    The lock is an empty file next to ``path``. It is never removed, because waiting processes could
    then lock different files.

    Args:
        path: The file to lock.
        waiting: Called once if another process or thread has the lock.

    Yields:
        None, while the lock is held.

    Raises:
        OSError: If the file system has no locks or the lock file cannot be written.
    """
    import filelock  # 40 ms, only needed to write

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
        file.close()  # swept between creation and locking


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
