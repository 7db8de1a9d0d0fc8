"""Facts and digests of the built-in tracks, compared with the tracks themselves."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oraclezoo.data import tracks
from oraclezoo.data.dataset import SPLITS
from oraclezoo.data.idx import write_idx
from oraclezoo.data.image_files import read_labels
from oraclezoo.data.known import KNOWN, canonical, differing
from oraclezoo.data.upstream import FILES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from oraclezoo.errors import DataError


def labels_sha256(labels: Any) -> str:
    return hashlib.sha256(np.asarray(labels).astype("<i8").tobytes()).hexdigest()


def test_the_small_generated_track_is_as_stated() -> None:
    """Counts, every pixel of the shipped images, and the test labels."""
    known, dataset = KNOWN["glyphs-3k"], tracks.glyphs_3k(data_dir=None)
    counts = {split: len(dataset.split(split).labels) for split in SPLITS}
    assert counts["train"] + counts["validation"] == known.learning
    assert counts["test"] == known.test
    assert labels_sha256(dataset.split("test").labels) == known.labels_sha256
    assert dict(dataset.sha256) == known.sha256


def test_damaged_images_of_the_small_track_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed pixel is detected, and the message says what to do."""
    shutil.copytree(tracks.GLYPHS_3K, tmp_path / "copy")
    monkeypatch.setattr(tracks, "GLYPHS_3K", tmp_path / "copy")
    dataset = tracks.glyphs_3k(data_dir=None)
    images = dataset.split("test").images.copy()
    images[0, 0, 0] ^= 1
    write_idx(tmp_path / "copy" / "test-images.idx.gz", images)
    with pytest.raises(DataError, match="corrupt; reinstall oraclezoo"):
        tracks.glyphs_3k(data_dir=None).split("test")


def test_the_large_generated_track_is_as_stated() -> None:
    """Its counts and seeds, and the pixels and labels of the test split, on every CPU."""
    known, dataset = KNOWN["glyphs"], tracks.glyphs(data_dir=None)
    assert labels_sha256(dataset.split("test").labels) == known.labels_sha256
    for name in ("generated", "generated test"):
        assert dataset.sha256[name] == known.sha256[name]


@pytest.mark.realdata
def test_the_low_data_track_is_as_stated(oracle_dir: Path) -> None:
    """Digests and labels of the real files; the full track shares its test labels."""
    known, dataset = KNOWN["oracle-mnist-3k"], tracks.oracle_mnist_3k(data_dir=oracle_dir)
    assert labels_sha256(dataset.split("test").labels) == known.labels_sha256
    assert differing(known.sha256, dataset.sha256) == []  # type: ignore[arg-type]  # none is None
    official = read_labels(oracle_dir / TEST_LABELS)
    assert labels_sha256(official) == KNOWN["oracle-mnist"].labels_sha256


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_users_files_of_official_names_keep_name_and_digest(suffix: str) -> None:
    """Packed and unpacked, they cannot be compared, and count as different."""
    labels = {f"train-labels-idx1-ubyte{suffix}": "0" * 64}
    unpacked = {"train-images-idx3-ubyte": "1" * 64, **labels}
    assert canonical(unpacked) == unpacked
    packed = {TRAIN_IMAGES: "2" * 64, **labels}
    assert differing(unpacked, packed) == ["train-images-idx3-ubyte", TRAIN_IMAGES]
    official = FILES[TRAIN_LABELS]
    known = {"train-images-idx3-ubyte": "1" * 64, official.name: official.digest}
    assert differing(known, {TRAIN_IMAGES: "2" * 64, official.name: official.digest}) == []


def test_an_unpacked_official_file_is_the_packed_one() -> None:
    """It is recognized by its digest; other files keep name and digest."""
    file = FILES[TEST_IMAGES]
    assert file.unpacked_sha256 is not None
    packed = {file.name: file.digest, "x": "1"}
    assert canonical({file.unpacked_name: file.unpacked_sha256, "x": "1"}) == packed
    assert differing({file.unpacked_name: file.unpacked_sha256, "x": "1"}, packed) == []
    assert differing({file.unpacked_name: "0" * 64}, {file.name: file.digest}) == [
        file.unpacked_name,
        file.name,
    ]
    images = FILES[TRAIN_IMAGES]
    packed, unpacked = {images.name: "1" * 64}, {images.unpacked_name: "2" * 64}
    assert canonical(unpacked).keys() == packed.keys()
    assert differing(packed, unpacked) == differing(unpacked, packed) == []
    assert differing(unpacked, {images.unpacked_name: "3" * 64}) == [images.name]
    assert differing({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]
