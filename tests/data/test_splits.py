"""The rules by which images are divided."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oraclezoo.data.splits import (
    by_image_hash,
    every_tenth,
    position_in_class,
    three_of_test_file,
)

LABELS = hnp.arrays(np.int64, st.integers(0, 200), elements=st.integers(0, 4))


@given(LABELS)
def test_positions_count_up_within_each_class(labels: npt.NDArray[np.int64]) -> None:
    """The images of a class are numbered 0, 1, 2, ... in file order."""
    positions = position_in_class(labels)
    for label in range(5):
        of_class = positions[labels == label]
        np.testing.assert_array_equal(of_class, np.arange(len(of_class)))


@given(LABELS)
def test_a_tenth_of_each_class_is_held_out(labels: npt.NDArray[np.int64]) -> None:
    """Validation is the tenth, twentieth, ... image of each class: a tenth, rounded down."""
    held_out = every_tenth(labels)
    for label in range(5):
        of_class = held_out[labels == label]
        assert of_class.sum() == len(of_class) // 10
        assert not of_class[:9].any()


def test_the_3k_rule_on_a_shuffled_file() -> None:
    """Test is each class's first 100; validation positions 9, 19, ..., 199 of its other 200."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 300))
    masks = three_of_test_file(labels)
    np.testing.assert_array_equal(sum(mask.astype(int) for mask in masks.values()), 1)
    for label in range(10):
        of_class = np.flatnonzero(labels == label)
        assert set(of_class[:100]) == set(np.flatnonzero(masks["test"] & (labels == label)))
        expected = of_class[100:][list(range(9, 200, 10))]
        assert len(expected) == 20
        np.testing.assert_array_equal(
            np.flatnonzero(masks["validation"] & (labels == label)), expected
        )


def test_the_hash_rule_reads_the_digest_as_one_number() -> None:
    """Divisibility by ten of the whole SHA-256, most significant byte first."""
    images = np.random.default_rng(1).integers(0, 256, (300, 28, 28), np.uint8)
    expected = [
        int(hashlib.sha256(bytes(image.ravel().tolist())).hexdigest(), 16) % 10 == 0
        for image in images
    ]
    assert by_image_hash(images).tolist() == expected
    assert 10 < sum(expected) < 60
    np.testing.assert_array_equal(by_image_hash(images[::-1]), expected[::-1])
