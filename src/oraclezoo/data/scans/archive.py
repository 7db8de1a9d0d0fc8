"""Read scans from zip and tar archives as streams.

No file is unpacked to disk, so member names cannot cause writes outside a folder. A tar archive is
read sequentially twice: once for its listing and once for its images.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from oraclezoo.data.scans.sources import (
    NOT_AN_IMAGE,
    Content,
    Listing,
    ScanFile,
    Unused,
    identity,
    is_hidden,
    is_image,
    printable,
)
from oraclezoo.errors import DataError
from oraclezoo.imaging.decode import MAX_FILE_BYTES, TOO_LARGE

MAX_MEMBERS = 2_000_000
"""Maximum number of files in an archive."""

_MIN_LIMIT = 16 << 30
_MAX_RATIO = 100
"""Maximum unpacked size of an archive: 16 GiB or this multiple of its size, if that is larger."""

_STREAMS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_OUTSIDE = "path outside the archive"
_LINK = "link or device, not a regular file"


def is_zip(path: Path) -> bool:
    """Return whether a file starts with the signature of zip archives.

    Args:
        path: The file.

    Returns:
        True for zip archives.

    Raises:
        OSError: If the file cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe could block
        raise OSError(None, "not a regular file", str(path))
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


class Zip:
    """A zip archive; implements :class:`~oraclezoo.data.scans.sources.Source`."""

    kind = "zip archive"

    def __init__(self, path: Path) -> None:
        self._path = path

    def listing(self) -> Listing:
        """Read the central directory of the archive."""
        members = _Members()
        with _explained(self._path), zipfile.ZipFile(self._path) as archive:
            limit = _limit(self._path)
            if sum(info.file_size for info in archive.infolist()) > limit:
                raise DataError(_bomb(self._path, limit))
            for position, info in enumerate(archive.infolist()):
                if info.is_dir():
                    continue
                reason = ""
                if info.external_attr >> 16 and stat.S_ISLNK(info.external_attr >> 16):
                    reason = _LINK
                elif info.flag_bits & 1:
                    reason = "encrypted"
                key = identity("zip", info.filename, info.CRC, info.file_size)
                name = info.filename.replace("\\", "/")  # some programs write backslashes
                members.add(name, info.file_size, key, position, reason)
        return members.listing()

    def contents(self, files: Iterable[ScanFile]) -> Iterator[tuple[ScanFile, Content]]:
        """Unpack each file in memory."""
        with _explained(self._path), zipfile.ZipFile(self._path) as archive:
            infos = archive.infolist()
            for file in files:
                assert isinstance(file.where, int)
                yield file, self._member(archive, infos[file.where])

    def _member(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | str:
        try:
            with archive.open(info) as member:
                data = member.read(MAX_FILE_BYTES + 1)
        except Exception as error:  # zipfile raises many kinds for corrupt members
            return f"cannot be unpacked ({' '.join(str(error).split())[:120]})"
        return TOO_LARGE if len(data) > MAX_FILE_BYTES else data


class Tar:
    """A tar archive, uncompressed or compressed with gzip, bzip2 or xz; implements
    :class:`~oraclezoo.data.scans.sources.Source`.
    """

    kind = "tar archive"

    def __init__(self, path: Path) -> None:
        self._path = path

    def listing(self) -> Listing:
        """List all members by reading the entire archive."""
        members, status = _Members(), self._path.stat()
        with _explained(self._path), self._open() as (archive, stream):
            for position, member in enumerate(_read_members(archive, stream)):
                if member.isdir():
                    continue
                reason = "" if member.isreg() else _LINK
                key = identity(
                    *("tar", status.st_size, status.st_mtime_ns),
                    *(position, member.name.encode("utf-8", "backslashreplace").decode()),
                )
                members.add(member.name, member.size, key, position, reason)
            stream.drain()
        return members.listing()

    def contents(self, files: Iterable[ScanFile]) -> Iterator[tuple[ScanFile, Content]]:
        """Unpack each file in memory."""
        wanted = {file.where: file for file in files}
        with _explained(self._path), self._open() as (archive, stream):
            for position, member in enumerate(_read_members(archive, stream)):
                if not wanted:
                    return
                file = wanted.pop(position, None)
                if file is None:
                    continue
                data = archive.extractfile(member) if member.size <= MAX_FILE_BYTES else None
                if data is None:  # listed members are regular files
                    raise DataError(
                        "the archive changed while being read; run the same command again"
                    )
                yield file, data.read()

    @contextmanager
    def _open(self) -> Iterator[tuple[tarfile.TarFile, _Stream]]:
        with self._path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            opens = [unpack for magic, unpack in _STREAMS.items() if start.startswith(magic)]
            unpacked: IO[bytes] = opens[0](file, "rb") if opens else file  # type: ignore[operator]  # overloads differ by mode
            stream = _Stream(unpacked, _limit(self._path), self._path)
            with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]  # _Stream implements what reading needs
                yield archive, stream


class _Stream:
    """An unpacked tar stream with limits on the size of each read and on the total size."""

    def __init__(self, file: IO[bytes], limit: int, path: Path) -> None:
        self._file, self._limit, self._path = file, limit, path
        self.last = b""

    def read(self, count: int) -> bytes:
        """Read up to ``count`` bytes; reject headers that declare gigabytes."""
        if not 0 <= count <= MAX_FILE_BYTES + tarfile.RECORDSIZE:
            raise DataError(f"{self._path}: invalid archive: a header of {count:,} bytes")
        self.last = self._file.read(count)
        return self.last

    def seek(self, position: int) -> int:
        """Move forward to ``position`` by unpacking the bytes before it."""
        if position > self._limit:
            raise DataError(_bomb(self._path, self._limit))
        return self._file.seek(position)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def drain(self) -> None:
        """Read to the end, where compressed streams have a checksum."""
        while self._file.read(1 << 20):
            if self._file.tell() > self._limit:
                raise DataError(_bomb(self._path, self._limit))


class _Members:
    """Collection of an archive's members; among members of the same name, the last one counts."""

    def __init__(self) -> None:
        self._files: dict[str, ScanFile] = {}
        self._rejected: dict[str, Unused] = {}
        self._ignored: dict[str, Unused] = {}

    def add(self, path: str, size_bytes: int, key: str, position: int, reason: str) -> None:
        """Add a member; ``reason`` is the reason to reject it, or ""."""
        pure = PurePosixPath(path)
        if is_hidden(path) and ".." not in pure.parts:
            return
        name = printable(pure.as_posix())
        self._files.pop(name, None)
        self._rejected.pop(name, None)
        if not is_image(path):
            self._ignored[name] = Unused(name, NOT_AN_IMAGE)
            return
        if pure.is_absolute() or ".." in pure.parts:
            reason = _OUTSIDE
        elif size_bytes > MAX_FILE_BYTES:
            reason = reason or TOO_LARGE
        if reason:
            self._rejected[name] = Unused(name, reason)
        else:
            self._files[name] = ScanFile(name, key, position)

    def listing(self) -> Listing:
        """Return the collected members."""
        return Listing(
            tuple(self._files.values()),
            tuple(self._rejected.values()),
            tuple(self._ignored.values()),
        )


def _read_members(archive: tarfile.TarFile, stream: _Stream) -> Iterator[tarfile.TarInfo]:
    """Yield the members; raise DataError unless the archive ends with an end-of-archive block."""
    count = 0
    while (member := archive.next()) is not None:
        count += 1
        if count > MAX_MEMBERS:
            raise DataError(f"more than {MAX_MEMBERS:,} members")
        archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every member otherwise
        yield member
    if stream.last.strip(b"\0"):  # tarfile treats a corrupt header as the end of the archive
        raise DataError("corrupt or truncated archive (invalid member header)")


def _limit(path: Path) -> int:
    return max(_MIN_LIMIT, _MAX_RATIO * path.stat().st_size)


def _bomb(path: Path, limit: int) -> str:
    return f"{path}: unpacks to more than the limit of {limit >> 30} GiB"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Convert errors of archive readers to DataError."""
    try:
        yield
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except tarfile.ReadError as error:
        raise DataError(
            f"{path}: not a folder or a complete tar or zip archive ({error})"
        ) from error
    except Exception as error:  # corrupt archives raise exceptions of many types
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: corrupt or truncated archive ({text[:120]})") from error
