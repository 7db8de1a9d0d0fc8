"""The IDX format of MNIST: strict reader, reproducible writer.

An IDX file has two zero bytes, a type code, the number of dimensions, each size as a big-endian
uint32, and the values, big-endian, last index fastest (http://yann.lecun.com/exdb/mnist). Gzip
compression is detected by a file's first bytes, not by its name.
"""

from __future__ import annotations

import gzip
import math
import stat
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from oraclezoo.errors import DataError
from oraclezoo.storage import replacing

TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
"""Data type of the values for each type code."""

MAX_DIMENSIONS = 8
MAX_BYTES = 1 << 32
"""Maximum uncompressed size of the values when reading into memory: 4 GiB."""

_GZIP = b"\x1f\x8b"
_DEFLATE_LIMIT = 1032
"""Maximum compression ratio of deflate, according to zlib's technical notes."""
_CHUNK = 1 << 20
_NOT_IDX = (
    (b"<", "this is an HTML page, not IDX; download the file again"),
    (
        b"version https://git-lfs",
        "this is a Git LFS pointer, not IDX; run 'git lfs pull' to get the file",
    ),
    (b"PK\x03\x04", "this is a zip archive, not IDX; unpack it first"),
    (b"\x93NUMPY", "this is a NumPy file, not IDX; convert it with oraclezoo.data.idx.write_idx"),
)


class Header(NamedTuple):
    """Type, shape and position of the values in an IDX file.

    Attributes:
        dtype: Data type, big-endian.
        shape: Size of each dimension.
        offset: Position of the values in bytes from the start of the uncompressed file.
        packed: Whether the file is compressed by gzip.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    packed: bool

    @property
    def size_bytes(self) -> int:
        """Return the uncompressed size of the values in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path) -> Header:
    """Read the header of an IDX file of any size, and check it against the file size.

    The size of a compressed file is checked against the maximum compression ratio.

    Args:
        path: The file.

    Returns:
        The header.

    Raises:
        DataError: If the file cannot be read or is not IDX.
    """
    with _opened(path) as (file, size, packed), _stream(file, packed) as values:
        dtype, shape, expected = _header(path, values, max_bytes=None)
        header = Header(dtype, shape, values.tell(), packed)
        present = size * _DEFLATE_LIMIT if packed else size - header.offset
        if expected > present or (expected < present and not packed):
            _wrong_length(path, shape, expected, f"{'at most ' * packed}{present:,}")
        return header


def unpacked(path: Path) -> Iterator[bytes]:
    """Yield the uncompressed bytes of an IDX file in chunks.

    Args:
        path: The file, compressed or not.

    Yields:
        Chunks of bytes.

    Raises:
        DataError: If the file is corrupt; the chunks that were yielded before must be discarded.
    """
    _, shape, offset, _ = header = read_header(path)
    left = offset + header.size_bytes
    with _opened(path) as (file, _, packed), _stream(file, packed) as values:
        # request one byte more than declared, to detect a longer stream
        while chunk := values.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                _wrong_length(path, shape, header.size_bytes, "more")
            yield chunk
    if left:
        _wrong_length(path, shape, header.size_bytes, f"{header.size_bytes - left:,}")


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Read an IDX file of any type with 1 to 8 dimensions.

    The header is checked against the file size before memory is allocated.

    Args:
        path: The file, compressed or not.

    Returns:
        The array, in native byte order.

    Raises:
        DataError: If the file cannot be read, is not IDX or is larger than :data:`MAX_BYTES`.
    """
    with _opened(path) as (file, size, packed):
        return (_read_gzip if packed else _read_plain)(path, file, size)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int, bool]]:
    """Yield the open file, its size and whether it is compressed; convert errors to DataError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe could block
            _refuse(path, "not a regular file; pass the path of an IDX file")
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            yield file, status.st_size, packed
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        _refuse(path, f"corrupt or truncated gzip data ({error}); download the file again", error)
    except OSError as error:
        _refuse(path, f"cannot be read ({error.strerror or error})", error)
    except MemoryError as error:
        _refuse(path, "not enough memory to read the file", error)


def _stream(file: BinaryIO, packed: bool) -> gzip.GzipFile | AbstractContextManager[BinaryIO]:
    return gzip.GzipFile(fileobj=file, mode="rb") if packed else nullcontext(file)


def _read_plain(path: Path, file: BinaryIO, size: int) -> npt.NDArray[Any]:
    dtype, shape, expected = _header(path, file)
    present = size - file.tell()
    if present != expected:
        _wrong_length(path, shape, expected, f"{present:,}")
    values = bytearray(expected)
    if file.readinto(values) != expected:  # type: ignore[attr-defined]  # BinaryIO lacks readinto
        _refuse(path, "the file was truncated while being read")
    return _array(values, dtype, shape)


def _read_gzip(path: Path, file: BinaryIO, size: int) -> npt.NDArray[Any]:
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
        dtype, shape, expected = _header(path, unpacked)
        if expected > size * _DEFLATE_LIMIT:
            _wrong_length(path, shape, expected, f"at most {size * _DEFLATE_LIMIT:,}")
        values = bytearray()
        # request one byte more than declared, to detect a longer stream
        while chunk := unpacked.read(min(_CHUNK, expected + 1 - len(values))):
            values += chunk
            if len(values) > expected:
                _wrong_length(path, shape, expected, "more")
    if len(values) < expected:
        _wrong_length(path, shape, expected, f"{len(values):,}")
    return _array(values, dtype, shape)


def _header(
    path: Path, file: BinaryIO | gzip.GzipFile, max_bytes: int | None = MAX_BYTES
) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Read type, shape and declared size in bytes; leave the file at the end of the header."""
    start = file.read(64)
    for prefix, meaning in _NOT_IDX:
        if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(prefix):
            _refuse(path, meaning)
    if len(start) < 4:
        _refuse(path, f"{len(start)} bytes are too few for an IDX file; download it again")
    code, dimensions = start[2], start[3]
    if start[:2] != b"\0\0" or code not in TYPES:
        _refuse(path, f"not an IDX file: begins with {start[:4].hex(' ')}")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        _refuse(path, f"{dimensions} dimensions; 1 to {MAX_DIMENSIONS} are supported")
    end = 4 + 4 * dimensions
    if len(start) < end:
        _refuse(path, "truncated header; download the file again")
    shape = tuple(int.from_bytes(start[i : i + 4], "big") for i in range(4, end, 4))
    dtype = TYPES[code]
    min_bytes = math.prod(size or 1 for size in shape) * dtype.itemsize
    if max_bytes is not None and min_bytes > max_bytes:
        _refuse(path, f"the header declares {_shape(shape)} values, more than {max_bytes:,} bytes")
    file.seek(end)
    return dtype, shape, math.prod(shape) * dtype.itemsize


def _array(values: bytearray, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = (
        np.frombuffer(values, dtype=dtype) if values else np.empty(0, dtype=dtype)
    )
    return array.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as an IDX file, compressed by gzip if its name ends with ``.gz``.

    The file is written atomically; equal arrays give byte-identical files.

    Args:
        path: The file.
        array: Array with 1 to 8 dimensions and a type in :data:`TYPES`.

    Raises:
        DataError: If the format does not support the array or the file cannot be written.
    """
    stored = array.dtype.newbyteorder(">")
    codes = {dtype: code for code, dtype in TYPES.items()}
    if stored not in codes:
        supported = ", ".join(dtype.newbyteorder("=").name for dtype in codes)
        _refuse(path, f"IDX does not support {array.dtype}; convert to one of {supported}")
    if not 1 <= array.ndim <= MAX_DIMENSIONS or max(array.shape) >= 1 << 32:
        _refuse(path, f"IDX does not support the shape {_shape(array.shape)}")
    header = bytes((0, 0, codes[stored], array.ndim))
    header += b"".join(size.to_bytes(4, "big") for size in array.shape)
    values = np.ascontiguousarray(array, dtype=stored).tobytes()
    try:
        with replacing(path) as file:
            if path.name.endswith(".gz"):
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    packed.write(header + values)
            else:
                file.write(header + values)
    except OSError as error:
        _refuse(path, f"cannot be written ({error.strerror or error})", error)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _wrong_length(path: Path, shape: tuple[int, ...], expected: int, present: str) -> NoReturn:
    declared = f"the header declares {_shape(shape)} values, {expected:,} bytes"
    _refuse(path, f"{declared}, but the file contains {present}; download it again")


def _refuse(path: Path, problem: str, cause: BaseException | None = None) -> NoReturn:
    raise DataError(f"{path}: {problem}") from cause
