"""Writing a file so that it is there whole or not at all, by one process at a time."""

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
    fcntl = None  # type: ignore[assignment]  # None stands for: no locks on open files here

STALE_S = 24 * 3600.0
"""Age in seconds past which a temporary file is abandoned, where locks cannot tell."""

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file, open for reading and writing, that becomes ``path`` when the block ends well.

    It lies beside ``path`` until then; when the block raises it is removed and ``path`` is left as
    it was. What killed processes have left in the folder is removed first. Raises OSError.
    """
    sweep(path.parent)
    temporary, file = _temporary(path)
    try:
        with file:
            yield file
            file.flush()
            settle(file)
            if fcntl is not None:  # replaced under its lock, so that nobody sweeps it just before
                temporary.replace(path)
        if fcntl is None:  # Windows does not rename open files
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def settle(file: BinaryIO) -> None:
    """Have the bytes of ``file`` on the disk: a rename can get there first, and the power go."""
    os.fsync(file.fileno())


def sweep(folder: Path) -> None:
    """Remove the temporary files that :func:`replacing` left in ``folder`` in killed processes.

    A living process holds a lock on its own, which the system drops when the process ends.
    """
    with suppress(OSError):  # a folder that is not there or not ours; writing will say so
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                _remove_if_abandoned(path)


@contextmanager
def alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """The block is run by one process or thread at a time for each ``path``; others wait.

    ``waiting`` is called once if there is someone to wait for. The lock is an empty file beside
    ``path``, which stays there: removing it could split those who wait. Raises OSError.
    """
    import filelock  # 40 ms that a command which writes nothing need not pay

    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        waiting()
        lock.acquire()
    except NotImplementedError as error:
        raise OSError(f"the file system of {path.parent} has no locks") from error
    try:
        yield
    finally:
        lock.release()


def _temporary(path: Path) -> tuple[Path, BinaryIO]:
    """A new temporary file for ``path``, locked."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        file = temporary.open("x+b")
        if fcntl is None:
            return temporary, file
        with suppress(OSError):  # a file system without locks; there, age tells
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()  # swept between its making and its locking


def _remove_if_abandoned(path: Path) -> None:
    with suppress(OSError):
        if fcntl is None:
            _remove_if_old(path)
            return
        # neither follows a link nor waits for a pipe of that name
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            pass  # someone is writing it
        except OSError:
            _remove_if_old(path)
        finally:
            os.close(descriptor)


def _remove_if_old(path: Path) -> None:
    if time.time() - path.lstat().st_mtime > STALE_S:
        path.unlink()
