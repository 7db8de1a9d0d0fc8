"""Split rules of the tracks, as pure functions of bytes and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def by_image_hash(images: Iterable[npt.NDArray[np.uint8]]) -> Mask:
    """Return the validation mask of ``oracle-mnist``, bool ``(N,)``, for images ``(N, H, W)``.

    True where the SHA-256 of an image's bytes, row by row, read as one big-endian integer, is
    divisible by ten. Identical images always fall into the same split.
    """
    digests = (hashlib.sha256(image.tobytes()).digest() for image in images)
    return np.array([int.from_bytes(digest, "big") % 10 == 0 for digest in digests], dtype=bool)


def position_in_class(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number of equal labels before each of ``labels`` ``(N,)``."""
    positions = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        positions[of_class] = np.arange(len(of_class))
    return positions


def every_tenth(labels: npt.NDArray[np.int64]) -> Mask:
    """Return a stratified tenth, bool ``(N,)``: positions 9, 19, 29, ... of each class."""
    chosen: Mask = position_in_class(labels) % 10 == 9
    return chosen


def three_of_test_file(labels: npt.NDArray[np.int64]) -> dict[str, Mask]:
    """Return masks of the splits of ``oracle-mnist-3k``, bool ``(N,)``, from a file's labels.

    In each class the first 100 are test; of the others, positions 9, 19, ... are validation.
    """
    positions = position_in_class(labels)
    test = positions < 100
    validation = ~test & ((positions - 100) % 10 == 9)
    return {"train": ~test & ~validation, "validation": validation, "test": test}
