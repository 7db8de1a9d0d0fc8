"""Split rules."""

from __future__ import annotations

import hashlib
import random

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

MANY_LABELS = st.builds(
    lambda seed, size, classes: np.random.default_rng(seed).integers(0, classes, size),
    st.integers(0, 2**32 - 1),
    st.integers(0, 1500),
    st.integers(1, 5),
)
"""Enough of a class for all three parts of the 3k rule."""

IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(0, 40), st.just(2), st.just(2)))


def rules(labels: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return every mask that depends on the labels only."""
    return {**three_of_test_file(labels), "every tenth": every_tenth(labels)}


@given(MANY_LABELS)
def test_the_3k_parts_are_disjoint_and_complete(labels: npt.NDArray[np.int64]) -> None:
    """Each image is in exactly one split, reproducibly."""
    parts = three_of_test_file(labels)
    assert list(parts) == ["train", "validation", "test"]
    np.testing.assert_array_equal(
        sum(mask.astype(int) for mask in parts.values()), np.ones_like(labels)
    )
    for label in range(5):
        assert (parts["test"] & (labels == label)).sum() == min(100, (labels == label).sum())
    again = three_of_test_file(labels.copy())
    for name, mask in parts.items():
        np.testing.assert_array_equal(again[name], mask)


@given(MANY_LABELS, st.data())
def test_more_images_move_no_other(labels: npt.NDArray[np.int64], data: st.DataObject) -> None:
    """Images appended, or added to other classes, do not change the split of an image."""
    whole = rules(labels)
    count = data.draw(st.integers(0, len(labels)))
    one = labels == data.draw(st.integers(0, 4))
    for name, mask in rules(labels[:count]).items():
        np.testing.assert_array_equal(mask, whole[name][:count])
    for name, mask in rules(labels[one]).items():
        np.testing.assert_array_equal(mask, whole[name][one])


@given(LABELS, st.permutations(range(5)))
def test_the_names_of_classes_do_not_matter(
    labels: npt.NDArray[np.int64], names: list[int]
) -> None:
    """The split does not depend on how classes are numbered."""
    for name, mask in rules(np.array(names)[labels]).items():
        np.testing.assert_array_equal(mask, rules(labels)[name])


@given(IMAGES, st.randoms(use_true_random=False))
def test_the_hash_rule_sees_one_image_at_a_time(
    images: npt.NDArray[np.uint8], random: random.Random
) -> None:
    """Neither order nor other images matter; equal images share a split."""
    mask = by_image_hash(images)
    assert (mask.dtype, mask.shape) == (np.dtype(bool), (len(images),))
    order = list(range(len(images)))
    random.shuffle(order)
    np.testing.assert_array_equal(by_image_hash(images[order]), mask[order])
    some = order[: len(order) // 2]
    np.testing.assert_array_equal(by_image_hash(images[some]), mask[some])
    sides: dict[bytes, set[bool]] = {}
    for image, side in zip(images, mask.tolist(), strict=True):
        sides.setdefault(image.tobytes(), set()).add(side)
    assert all(len(actual) == 1 for actual in sides.values())


@given(LABELS)
def test_positions_count_up_within_each_class(labels: npt.NDArray[np.int64]) -> None:
    """The images of a class are numbered 0, 1, 2, ... in file order."""
    positions = position_in_class(labels)
    for label in range(5):
        of_class = positions[labels == label]
        np.testing.assert_array_equal(of_class, np.arange(len(of_class)))


@given(LABELS)
def test_a_tenth_of_each_class_is_held_out(labels: npt.NDArray[np.int64]) -> None:
    """Validation is every tenth image of each class, rounded down."""
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
