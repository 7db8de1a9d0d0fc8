"""Streamed images: equal to the array in memory, and clear errors when the file changes."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.data import idx, streamed, tracks
from oraclezoo.data.splits import by_image_hash
from oraclezoo.data.streamed import ImagesInFile, open_images, open_images_labels
from oraclezoo.errors import DataError

COUNT = 50


@pytest.fixture(scope="module")
def array() -> npt.NDArray[np.uint8]:
    """50 noise images of 6 x 6 pixels."""
    return np.random.default_rng(0).integers(0, 256, (COUNT, 6, 6), np.uint8)


@pytest.fixture(scope="module")
def path(array: npt.NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The array as an uncompressed IDX file."""
    path = tmp_path_factory.mktemp("plain") / "images"
    idx.write_idx(path, array)
    return path


@pytest.fixture(scope="module")
def images(path: Path) -> ImagesInFile:
    """The array, streamed from that file."""
    actual = open_images(path, 0)
    assert isinstance(actual, ImagesInFile)
    return actual


def test_they_look_like_the_array(images: ImagesInFile, array: npt.NDArray[np.uint8]) -> None:
    """Shape, type, length, iteration, and the whole as an array."""
    assert (images.shape, images.ndim, images.dtype) == (array.shape, 3, array.dtype)
    assert len(images) == COUNT
    assert np.array_equal(np.asarray(images), array)
    assert np.asarray(images, dtype=np.float32).dtype == np.float32
    assert [image.tobytes() for image in images] == [image.tobytes() for image in array]
    assert np.array_equal(by_image_hash(images), by_image_hash(array))
    with pytest.raises(ValueError, match="without a copy"):
        images.__array__(copy=False)


numbers = st.integers(-COUNT, COUNT - 1)
ends = st.none() | st.integers(-60, 60)
keys = (
    numbers
    | st.builds(slice, ends, ends, st.none() | st.sampled_from([-7, -1, 1, 2, 9]))
    | st.lists(numbers, max_size=60).map(lambda rows: np.array(rows, np.int64))
    | st.lists(st.booleans(), min_size=COUNT, max_size=COUNT).map(np.array)
)


@given(key=keys)
def test_any_key_gives_what_the_array_gives(
    images: ImagesInFile, array: npt.NDArray[np.uint8], key: object
) -> None:
    """Indices, slices, masks, and index arrays with repetitions."""
    assert np.array_equal(images[key], array[key])  # type: ignore[call-overload]


@given(mask=st.lists(st.booleans(), min_size=COUNT, max_size=COUNT).map(np.array), data=st.data())
def test_a_part_of_a_part_is_the_arrays(
    images: ImagesInFile,
    array: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    data: st.DataObject,
) -> None:
    """Masks compose without reading the file."""
    part, expected = images.take(mask), array[mask]
    assert part.shape == expected.shape
    again = data.draw(st.lists(st.booleans(), min_size=len(part), max_size=len(part)))
    second = np.array(again, dtype=bool)
    assert np.array_equal(part.take(second)[:], expected[second])


def test_a_number_that_is_not_there_is_an_index_error(images: ImagesInFile) -> None:
    """An index out of range raises IndexError and reads nothing."""
    for key in (COUNT, -COUNT - 1, np.array([0, COUNT])):
        with pytest.raises(IndexError):
            images[key]


def test_without_the_calls_of_linux_it_reads_the_same(
    path: Path, array: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results are equal on Windows, without preadv and fadvise."""
    known = ("open", "close", "read", "lseek", "fstat", "O_RDONLY", "SEEK_SET")
    bare = SimpleNamespace(**{name: getattr(os, name) for name in known})
    monkeypatch.setattr(streamed, "os", bare)
    rows = np.array([7, 8, 9, 3, 49, 0])
    assert np.array_equal(ImagesInFile(path, idx.read_header(path))[rows], array[rows])


@pytest.mark.parametrize("size", [15, 16 + 36 * 10])
def test_a_file_cut_short_since_is_an_error(
    size: int, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file truncated before or during a read is a DataError."""
    copy = shutil.copy(path, tmp_path / "copy")
    images = open_images(copy, 0)
    os.truncate(copy, size)
    with pytest.raises(DataError, match="copy: the file changed while being read"):
        images[np.array([40])]
    monkeypatch.setattr(streamed._Records, "_state", lambda self: self.opened)
    with pytest.raises(DataError, match="copy: the file was truncated"):
        images[np.array([40])]


def test_a_file_written_to_since_is_an_error(path: Path, tmp_path: Path) -> None:
    """A modified file no longer matches its recorded digest."""
    copy = shutil.copy(path, tmp_path / "copy")
    os.utime(copy, ns=(0, 0))
    images = open_images(copy, 0)
    with copy.open("r+b") as file:
        file.seek(20)
        file.write(b"!")
    with pytest.raises(DataError, match="changed"):
        images[0]


def test_the_limit_decides(path: Path, array: npt.NDArray[np.uint8]) -> None:
    """Images are in memory up to the limit and streamed above it."""
    size = array.nbytes
    assert isinstance(open_images(path, size - 1), ImagesInFile)
    for limit in (size, None):
        assert isinstance(open_images(path, limit), np.ndarray)


def test_what_cannot_be_read_into_memory_is_streamed(tmp_path: Path) -> None:
    """Images of more than 4 GiB (a sparse file) can be streamed only."""
    count, header = 5_500_000, bytes((0, 0, 8, 3))
    path = tmp_path / "large"
    header += b"".join(size.to_bytes(4, "big") for size in (count, 28, 28))
    path.write_bytes(header)
    os.truncate(path, 16 + count * 784)
    with pytest.raises(DataError, match="more than 4,294,967,296 bytes"):
        open_images(path, None)
    images = open_images(path, 1 << 40)
    assert isinstance(images, ImagesInFile)
    assert not images[-1].any()


def test_a_packed_file_is_unpacked_once(
    array: npt.NDArray[np.uint8], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is unpacked into the cache, named by its digest, with a message the first time."""
    monkeypatch.setattr(streamed, "cache_folder", lambda: tmp_path)
    packed = tmp_path / "images.gz"
    idx.write_idx(packed, array)
    lines: list[str] = []
    for _ in range(2):
        assert np.array_equal(np.asarray(open_images(packed, 0, lines.append)), array)
    (output,) = (tmp_path / "unpacked").glob("*.idx")
    assert output.read_bytes() == path.read_bytes()
    assert lines == [f"unpacking images.gz, 0 MB, into {output.parent}"]
    os.truncate(output, 100)  # by whatever mishap: made anew
    assert np.array_equal(np.asarray(open_images(packed, 0)), array)


def test_a_packed_file_that_lies_leaves_nothing(
    array: npt.NDArray[np.uint8], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong declared size or corrupt data leaves no file in the cache."""
    monkeypatch.setattr(streamed, "cache_folder", lambda: tmp_path)
    plain, packed = path.read_bytes(), tmp_path / "images.gz"
    huge = plain[:4] + b"\xff" * 4 + plain[8:]
    whole = gzip.compress(plain)
    for content, complaint in (
        (gzip.compress(huge), "the file contains at most"),
        (gzip.compress(plain + b"!"), "the file contains more"),
        (gzip.compress(plain[:-1]), "the file contains 1,799"),
        (whole[:-8] + bytes(8), "corrupt or truncated gzip data"),
        (whole[:-100], "corrupt or truncated gzip data"),
    ):
        packed.write_bytes(content)
        with pytest.raises(DataError, match=complaint):
            open_images(packed, 0)
    assert list((tmp_path / "unpacked").glob("*.idx")) == []
    assert list((tmp_path / "unpacked").glob("*.tmp")) == []


def test_a_full_disk_is_one_clear_line(
    array: npt.NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is detected before writing where possible; no partial file remains."""
    monkeypatch.setattr(streamed, "cache_folder", lambda: tmp_path)
    packed = tmp_path / "images.gz"
    idx.write_idx(packed, array)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
        with pytest.raises(
            DataError, match=r"1,816 bytes, 1,000 are free\); free up disk space"
        ) as caught:
            open_images(packed, 0)
    assert "\n" not in str(caught.value)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(idx, "unpacked", full)
    with pytest.raises(DataError, match=r"No space left on device\); free up disk space"):
        open_images(packed, 0)
    assert list((tmp_path / "unpacked").glob("*.idx")) == []


def test_images_that_cannot_be_are_refused_alike(tmp_path: Path) -> None:
    """The errors equal those of arrays in memory, without reading the values."""
    for array in (np.zeros((4, 9), np.uint8), np.zeros((4, 3, 3), np.int16)):
        path = tmp_path / "images"
        idx.write_idx(path, array)
        messages = []
        for limit in (0, None):
            with pytest.raises(DataError) as caught:
                open_images(path, limit)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    idx.write_idx(path, np.zeros((4, 3, 3), np.uint8))
    idx.write_idx(tmp_path / "labels", np.zeros(5, np.uint8))
    with pytest.raises(DataError, match="4 images but 5 labels"):
        open_images_labels(path, tmp_path / "labels", 10, 0)


def test_a_track_streams_the_images_it_would_hold(tiny_idx: Path) -> None:
    """A streamed track has the same splits, digests and bytes."""
    resident = tracks.idx(data_dir=tiny_idx)
    left = tracks.idx(data_dir=tiny_idx, stream_above=0)
    for name in ("train", "validation", "test"):
        one, other = resident.split(name), left.split(name)
        assert isinstance(other.images, ImagesInFile)
        assert np.array_equal(np.asarray(other.images), one.images)
        assert np.array_equal(other.labels, one.labels)
    assert dict(resident.sha256) == dict(left.sha256)
