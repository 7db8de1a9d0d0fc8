"""Image files and label files in the IDX format, checked for type, shape and label range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.data.idx import Header, read_idx
from oraclezoo.errors import DataError


def read_images_labels(
    images_path: Path, labels_path: Path, num_classes: int | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Read a pair of IDX files.

    Args:
        images_path: File of the images.
        labels_path: File of the labels.
        num_classes: Upper bound of labels, exclusive; unchecked if None.

    Returns:
        Images uint8 ``(N, H, W)`` and labels int64 ``(N,)``.

    Raises:
        DataError: If type or shape are wrong, the counts differ, there are no images, or a label is
            out of range.
    """
    images, labels = read_images(images_path), read_labels(labels_path, num_classes)
    check_pair(images_path, len(images), labels_path, len(labels))
    return images, labels


def check_pair(images_path: Path, images: int, labels_path: Path, labels: int) -> None:
    """Check that there are as many labels as images.

    Args:
        images_path: File of the images, for the message.
        images: Number of images.
        labels_path: File of the labels, for the message.
        labels: Number of labels.

    Raises:
        DataError: If the numbers differ.
    """
    if images != labels:
        raise DataError(
            f"{images_path} and {labels_path}: {images} images but {labels} labels; "
            "the files do not match"
        )


def read_images(path: Path) -> npt.NDArray[np.uint8]:
    """Read images from an IDX file.

    Args:
        path: The file.

    Returns:
        uint8 ``(N, H, W)``, N at least 1.

    Raises:
        DataError: If the file cannot be read or has no images.
    """
    images = read_idx(path)
    check_images(path, images)
    return images


def check_images(path: Path, content: npt.NDArray[Any] | Header) -> None:
    """Check that a file contains at least one uint8 image.

    Args:
        path: The file, for the message.
        content: Its array or header.

    Raises:
        DataError: If type or shape are wrong, or there are no images.
    """
    if len(content.shape) != 3 or content.dtype != np.uint8:
        raise DataError(f"{path}: images must be uint8 with 3 dimensions, not {_form(content)}")
    if 0 in content.shape:
        raise DataError(f"{path}: contains no images: {_form(content)}")


def read_labels(path: Path, num_classes: int | None = None) -> npt.NDArray[np.int64]:
    """Read labels from an IDX file.

    Args:
        path: The file.
        num_classes: Upper bound of labels, exclusive; unchecked if None.

    Returns:
        int64 ``(N,)``.

    Raises:
        DataError: If the file cannot be read, is not a list of labels, or a label is out of range.
    """
    labels = read_idx(path)
    if labels.ndim != 1 or labels.dtype != np.uint8:
        raise DataError(f"{path}: labels must be uint8 with 1 dimension, not {_form(labels)}")
    if num_classes is not None and labels.size and labels.max() >= num_classes:
        at = int(np.argmax(labels >= num_classes))
        raise DataError(
            f"{path}: label {labels[at]} at index {at} is out of range; with {num_classes} "
            f"classes, labels are 0 to {num_classes - 1}"
        )
    return labels.astype(np.int64)


def _form(content: npt.NDArray[Any] | Header) -> str:
    """Return shape and type, for messages."""
    return f"{' x '.join(map(str, content.shape))} {content.dtype.newbyteorder('=')}"
