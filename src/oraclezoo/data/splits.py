"""Rules that define the splits of the tracks, as pure functions of image bytes and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def by_image_hash(images: Iterable[npt.NDArray[np.uint8]]) -> Mask:
    """Return a mask of the validation split of track ``oracle-mnist``.

    An image belongs to the split if the SHA-256 of its bytes, row by row, as a big-endian integer,
    is divisible by ten. Identical images are always in the same split.

    Args:
        images: Images uint8 ``(H, W)``.

    Returns:
        bool ``(N,)``.
    """
    digests = (hashlib.sha256(image.tobytes()).digest() for image in images)
    return np.array([int.from_bytes(digest, "big") % 10 == 0 for digest in digests], dtype=bool)


def position_in_class(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the position of each image among the images of its class.

    Args:
        labels: int64 ``(N,)``.

    Returns:
        Number of equal labels that precede each label, int64 ``(N,)``.
    """
    positions = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        positions[of_class] = np.arange(len(of_class))
    return positions


def every_tenth(labels: npt.NDArray[np.int64]) -> Mask:
    """Return a mask of a stratified tenth of the images: positions 9, 19, 29, ... of each class.

    Args:
        labels: int64 ``(N,)``.

    Returns:
        bool ``(N,)``.
    """
    chosen: Mask = position_in_class(labels) % 10 == 9
    return chosen


def three_of_test_file(labels: npt.NDArray[np.int64]) -> dict[str, Mask]:
    """Return masks of the splits of track ``oracle-mnist-3k``.

    The test split consists of the first 100 images of each class. Of the other images of a class,
    positions 9, 19, ... form the validation split.

    Args:
        labels: Labels of the official test file, int64 ``(N,)``.

    Returns:
        bool ``(N,)`` for each split, keyed by split name.
    """
    positions = position_in_class(labels)
    test = positions < 100
    validation = ~test & ((positions - 100) % 10 == 9)
    return {"train": ~test & ~validation, "validation": validation, "test": test}
