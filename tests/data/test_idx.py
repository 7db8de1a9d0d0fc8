"""Reader and writer of the IDX format."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oraclezoo.data.idx import read_idx, write_idx
from oraclezoo.data.image_files import read_images_labels, read_labels
from oraclezoo.errors import DataError

NATIVE = [np.dtype(name) for name in ("uint8", "int8", "int16", "int32", "float32", "float64")]
SOME = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder shared by the examples of a property test."""
    return tmp_path_factory.mktemp("idx")


def packed_idx(array: npt.NDArray[Any], folder: Path) -> bytes:
    """Return the bytes of a gzip-compressed IDX file."""
    write_idx(folder / "whole.gz", array)
    return (folder / "whole.gz").read_bytes()


def header(code: int, *shape: int) -> bytes:
    return bytes((0, 0, code, len(shape))) + b"".join(size.to_bytes(4, "big") for size in shape)


@given(
    array=st.sampled_from(NATIVE).flatmap(
        lambda dtype: hnp.arrays(
            dtype, hnp.array_shapes(min_dims=1, max_dims=8, min_side=0, max_side=4)
        )
    ),
    name=st.sampled_from(["a", "a.gz"]),
    order=st.sampled_from("<>="),
    layout=st.sampled_from(["C", "F", "reversed"]),
)
def test_what_was_written_is_read(
    array: npt.NDArray[Any], name: str, order: str, layout: str, place: Path
) -> None:
    """Any shape and type comes back bit for bit, in native byte order, packed or not.

    However it lies in memory when it is written.
    """
    laid = array[::-1].copy()[::-1] if layout == "reversed" else array.copy(order=layout)  # type: ignore[call-overload]  # a literal
    write_idx(place / name, laid.astype(array.dtype.newbyteorder(order), order="K"))  # type: ignore[arg-type]  # a literal
    back = read_idx(place / name)
    assert back.dtype == array.dtype
    assert back.dtype.isnative
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(lambda rest: b"\0\0" + rest),
        st.tuples(
            st.sampled_from([8, 9, 11, 12, 13, 14]),
            st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3), max_size=8),
            st.binary(max_size=64),
        ).map(lambda parts: header(parts[0], *parts[1]) + parts[2]),
    ),
    pack=st.booleans(),
)
def test_any_bytes_are_read_or_refused(data: bytes, pack: bool, place: Path) -> None:
    """Any content gives an array or DataError, and no other exception."""
    path = place / "any"
    path.write_bytes(gzip.compress(data) if pack else data)
    try:
        array = read_idx(path)
    except DataError:
        return
    values = data[4 + 4 * data[3] :]
    assert array.astype(array.dtype.newbyteorder(">")).tobytes() == values


@st.composite
def damaged(draw: st.DrawFn, dims: int | None = None) -> bytes:
    """A valid file, packed or not, after up to four cuts, insertions and changes of bytes.

    With ``dims``, of so many dimensions and uint8.
    """
    few, many = (1, 3) if dims is None else (dims, dims)
    shape = draw(hnp.array_shapes(min_dims=few, max_dims=many, min_side=0, max_side=6))
    dtype = draw(st.sampled_from(NATIVE if dims is None else NATIVE[:1]))
    values = draw(st.binary(max_size=64)) or b"\0"
    size = int(np.prod(shape)) * dtype.itemsize
    code = {">u1": 8, ">i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
    content = header(code[dtype.newbyteorder(">").str.replace("|", ">")], *shape)
    content += (values * (size // len(values) + 1))[:size]
    data = bytearray(gzip.compress(content, mtime=0) if draw(st.booleans()) else content)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 8)))
        data[at:end] = draw(st.binary(max_size=8))
    return bytes(data)


def peak_bytes(path: Path) -> int:
    """Return the peak memory of reading ``path``, whether or not that succeeds."""
    tracemalloc.start()
    try:
        with contextlib.suppress(DataError):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@given(data=damaged())
@settings(max_examples=300)
def test_damaged_files_are_read_or_refused_in_little_memory(data: bytes, place: Path) -> None:
    """A corrupt file raises DataError at most, and memory is bounded by the file size."""
    path = place / "damaged"
    path.write_bytes(data)
    assert peak_bytes(path) < 4 << 20
    try:
        array = read_idx(path)
    except DataError:
        return
    assert array.nbytes <= len(data) * 1032


@given(
    promised=st.integers(0, 1 << 20) | st.integers(0, (1 << 32) - 1),
    present=st.integers(0, 1 << 23),
    members=st.integers(1, 3),
    honest=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_bombs_cost_no_more_than_they_promise(
    promised: int, present: int, members: int, honest: bool, place: Path
) -> None:
    """Compressed zeros are read if the header declares them, otherwise rejected early."""
    path = place / "bomb"
    present = present // members * members
    promised = present if honest else promised
    body = gzip.compress(bytes(present // members), 1) * members
    path.write_bytes(gzip.compress(header(8, promised)) + body)
    assert peak_bytes(path) < (4 << 20) + 3 * min(promised, present + (1 << 20))
    if promised == present:
        assert read_idx(path).shape == (promised,)
    else:
        with pytest.raises(DataError):
            read_idx(path)


@given(images=damaged(3), labels=damaged(1), num_classes=st.none() | st.integers(1, 300))
@settings(max_examples=200)
def test_any_pair_is_images_with_labels_or_refused(
    images: bytes, labels: bytes, num_classes: int | None, place: Path
) -> None:
    """An accepted pair has at least one image, as many labels, and labels in range."""
    (place / "images").write_bytes(images)
    (place / "labels").write_bytes(labels)
    try:
        read, read_as = read_images_labels(place / "images", place / "labels", num_classes)
    except DataError:
        return
    assert (read.ndim, read.dtype, read_as.dtype) == (3, np.uint8, np.int64)
    assert read_as.shape == (len(read),)
    assert read.size
    assert num_classes is None or read_as.max() < num_classes


@given(at=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_gzip_is_never_read_as_something_else(
    at: int, value: int, cut: bool, place: Path
) -> None:
    """A corrupt gzip file is rejected, or read with its original content."""
    data = bytearray(packed_idx(SOME, place))
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] = value
    path = place / "damaged"
    path.write_bytes(data)
    try:
        array = read_idx(path)
    except DataError:
        return
    np.testing.assert_array_equal(array, SOME)


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_bytes_are_reproducible_and_match_the_format(name: str, tmp_path: Path) -> None:
    """Equal arrays give equal files with the layout of the format."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_idx(tmp_path / folder / name, np.array([[1, -2, 300]], dtype=np.int16))
    one, two = (tmp_path / folder / name for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    plain = gzip.decompress(one.read_bytes()) if name.endswith(".gz") else one.read_bytes()
    assert plain == bytes.fromhex("00000b02 00000001 00000003 0001 fffe 012c")


def test_the_content_tells_whether_it_is_packed(tmp_path: Path) -> None:
    """A gzip file under a plain name, and a plain file named .gz, are both read."""
    write_idx(tmp_path / "a.gz", SOME)
    (tmp_path / "a.gz").rename(tmp_path / "a")
    write_idx(tmp_path / "b", SOME)
    (tmp_path / "b").rename(tmp_path / "b.gz")
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), SOME)
    np.testing.assert_array_equal(read_idx(tmp_path / "b.gz"), SOME)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "0 bytes are too few"),
        (b"\0\0\x08", "3 bytes are too few"),
        (b"\0\0\x0a\x01\0\0\0\0", "begins with 00 00 0a 01"),
        (b"GIF89a", "not an IDX file: begins with 47 49 46 38"),
        (header(8), "0 dimensions"),
        (header(8, *[1] * 9), "9 dimensions"),
        (header(8, 2, 3)[:-1], "truncated header"),
        (header(8, 2, 3) + b"12345", "declares 2 x 3 values, 6 bytes, but the file contains 5"),
        (header(8, 2, 3) + b"1234567", "declares 2 x 3 values, 6 bytes, but the file contains "),
        (b"<!DOCTYPE html><html>", "this is an HTML page, not IDX"),
        (b"\xef\xbb\xbf \n<html>", "this is an HTML page, not IDX"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"PK\x03\x04" + bytes(40), "a zip archive"),
    ],
)
@pytest.mark.parametrize("pack", [False, True])
def test_what_is_wrong_is_said(data: bytes, complaint: str, pack: bool, tmp_path: Path) -> None:
    """The error is one line with the file and the reason."""
    path = tmp_path / "bad"
    path.write_bytes(gzip.compress(data) if pack else data)
    with pytest.raises(DataError, match=re.escape(complaint)) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("shape", [(1 << 20, 1 << 20), (1 << 31,), (0, *[2**32 - 1] * 7)])
def test_an_empty_promise_is_refused_unallocated(
    shape: tuple[int, ...], pack: bool, tmp_path: Path
) -> None:
    """A header that declares up to 2^40 bytes without content costs no memory."""
    path = tmp_path / "promise"
    path.write_bytes(gzip.compress(header(8, *shape)) if pack else header(8, *shape))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="declares"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


TOO_LARGE = """
import resource, sys
from pathlib import Path
from oraclezoo.data.idx import read_idx
from oraclezoo.errors import DataError
limit = 1 << 30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    read_idx(Path(sys.argv[1]))
except DataError as error:
    print(error)
"""


def test_what_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    """Too little memory for a valid file is a DataError."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(header(8, 3, 1 << 30))
        file.truncate(12 + (3 << 30))  # takes no room on the disk
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TOO_LARGE, path]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout == (f"{path}: not enough memory to read the file\n")


def test_a_gzip_bomb_is_refused_early(tmp_path: Path) -> None:
    """A stream that unpacks to more than its header declares is not unpacked to the end."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(header(8, 4) + bytes(64 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="but the file contains more"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_every_truncation_of_gzip_is_refused(tmp_path: Path) -> None:
    """Any number of missing bytes is detected."""
    data = packed_idx(SOME, tmp_path)
    for length in range(len(data)):
        (tmp_path / "cut").write_bytes(data[:length])
        with pytest.raises(DataError):
            read_idx(tmp_path / "cut")


def test_wrong_checksum_and_trailing_bytes_are_refused(tmp_path: Path) -> None:
    """A gzip file with a wrong CRC or trailing bytes is rejected."""
    data = packed_idx(SOME, tmp_path)
    wrong = bytearray(data)
    wrong[-8] ^= 1
    (tmp_path / "crc").write_bytes(wrong)
    (tmp_path / "trailing").write_bytes(data + b"more")
    for name in ("crc", "trailing"):
        with pytest.raises(DataError, match="corrupt or truncated gzip data"):
            read_idx(tmp_path / name)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing files, folders and pipes raise DataError; a pipe does not block."""
    with pytest.raises(DataError, match="No such file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="not a regular file"):
        read_idx(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DataError, match="not a regular file"):
            read_idx(tmp_path / "pipe")


@pytest.mark.parametrize(
    "array", [np.zeros(3, np.int64), np.zeros((), np.uint8), np.zeros([1] * 9, np.uint8)]
)
def test_what_idx_cannot_hold_is_not_written(array: npt.NDArray[Any], tmp_path: Path) -> None:
    """Unsupported types and shapes raise DataError and create no file."""
    with pytest.raises(DataError, match="does not support"):
        write_idx(tmp_path / "a", array)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves the file unchanged and no temporary file."""
    path = tmp_path / "a.gz"
    write_idx(path, SOME)
    before = path.read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gzip.GzipFile, "write", full)
    with pytest.raises(DataError, match=r"cannot be written .No space left"):
        write_idx(path, SOME + 1)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_images_and_labels_must_belong_together(tmp_path: Path) -> None:
    """Unequal counts, labels out of range, wrong types and empty files are rejected."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    write_idx(images, np.zeros((60, 5, 5), np.uint8))
    write_idx(labels, (np.arange(59) % 10).astype(np.uint8))
    with pytest.raises(DataError, match="60 images but 59 labels"):
        read_images_labels(images, labels)
    write_idx(labels, (np.arange(60) % 10).astype(np.uint8))
    read, read_as = read_images_labels(images, labels, 10)
    assert (read.dtype.name, read_as.dtype.name) == ("uint8", "int64")
    with pytest.raises(DataError, match="label 9 at index 9 is out of range"):
        read_images_labels(images, labels, 9)
    with pytest.raises(DataError, match="images must be uint8 with 3 dimensions, not 60 uint8"):
        read_images_labels(labels, labels)
    with pytest.raises(DataError, match="labels must be uint8 with 1 dimension"):
        read_images_labels(images, images)
    write_idx(labels, np.zeros(60, np.int32))
    with pytest.raises(DataError, match="not 60 int32"):
        read_labels(labels)
    write_idx(images, np.zeros((0, 28, 28), np.uint8))
    with pytest.raises(DataError, match="contains no images"):
        read_images_labels(images, labels)
