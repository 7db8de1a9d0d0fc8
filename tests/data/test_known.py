"""What the built-in tracks' data must be: held against the tracks themselves."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oraclezoo.data import tracks
from oraclezoo.data.dataset import SPLITS
from oraclezoo.data.idx import read_labels
from oraclezoo.data.known import KNOWN, canonical, differing
from oraclezoo.data.upstream import FILES, TEST_IMAGES, TEST_LABELS

LINUX = sys.platform == "linux"


def labels_sha256(labels: Any) -> str:
    return hashlib.sha256(np.asarray(labels).astype("<i8").tobytes()).hexdigest()


@pytest.mark.parametrize("name", ["glyphs-3k"])
def test_a_generated_track_is_as_stated(name: str) -> None:
    """Counts, the digest of what decides the images, the test labels; on Linux every pixel."""
    known, dataset = KNOWN[name], tracks.glyphs_3k(data_dir=None)
    counts = {split: len(dataset.split(split).labels) for split in SPLITS}
    assert counts["train"] + counts["validation"] == known.learning
    assert counts["test"] == known.test
    assert labels_sha256(dataset.split("test").labels) == known.labels_sha256
    found = dict(dataset.sha256)
    assert found["generated"] == known.sha256["generated"]
    if LINUX:  # elsewhere a gray level may round the other way
        assert found == known.sha256


def test_the_large_generated_track_is_of_the_same_generator() -> None:
    """What decides its images, without drawing all 30,222."""
    assert tracks.glyphs(data_dir=None).sha256["generated"] == KNOWN["glyphs"].sha256["generated"]


@pytest.mark.realdata
def test_the_low_data_track_is_as_stated(oracle_dir: Path) -> None:
    """Digests and labels of real files; the full track shares its test labels with them."""
    known, dataset = KNOWN["oracle-mnist-3k"], tracks.oracle_mnist_3k(data_dir=oracle_dir)
    assert labels_sha256(dataset.split("test").labels) == known.labels_sha256
    assert differing(known.sha256, dataset.sha256) == []  # type: ignore[arg-type]  # none is None
    official = read_labels(oracle_dir / TEST_LABELS)
    assert labels_sha256(official) == KNOWN["oracle-mnist"].labels_sha256


def test_an_unpacked_official_file_is_the_packed_one() -> None:
    """By its own digest only; any other file keeps its name and its digest."""
    file = FILES[TEST_IMAGES]
    assert file.unpacked_sha256 is not None
    packed = {file.name: file.digest, "x": "1"}
    assert canonical({file.unpacked_name: file.unpacked_sha256, "x": "1"}) == packed
    assert differing({file.unpacked_name: file.unpacked_sha256, "x": "1"}, packed) == []
    assert differing({file.unpacked_name: "0" * 64}, {file.name: file.digest}) == [
        file.unpacked_name,
        file.name,
    ]
    assert differing({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]
