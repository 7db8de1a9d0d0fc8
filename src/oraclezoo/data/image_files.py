"""Read images and labels from IDX files, with checks of type, shape and label range."""

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
    """Read the images and labels of a pair of IDX files.

    Args:
        images_path: File with the images.
        labels_path: File with the labels.
        num_classes: Number of classes, which labels must be less than; None to skip this check.

    Returns:
        Images uint8 ``(N, H, W)`` and labels int64 ``(N,)``.

    Raises:
        DataError: If a type or shape is wrong, the numbers of images and labels differ, there are
            no images, or a label is out of range.
    """
    images, labels = read_images(images_path), read_labels(labels_path, num_classes)
    check_pair(images_path, len(images), labels_path, len(labels))
    return images, labels


def check_pair(images_path: Path, images: int, labels_path: Path, labels: int) -> None:
    """Check that the numbers of images and labels are equal.

    Args:
        images_path: File with the images, for the message.
        images: Number of images.
        labels_path: File with the labels, for the message.
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
    """Read the images of an IDX file.

    Args:
        path: The file.

    Returns:
        uint8 ``(N, H, W)`` with N at least 1.

    Raises:
        DataError: If the file cannot be read, is not a list of images, or contains no images.
    """
    images = read_idx(path)
    check_images(path, images)
    return images


def check_images(path: Path, content: npt.NDArray[Any] | Header) -> None:
    """Check that a file contains uint8 images, at least one.

    Args:
        path: The file, for the message.
        content: The array or the header of the file.

    Raises:
        DataError: If the type or the shape is wrong, or there are no images.
    """
    if len(content.shape) != 3 or content.dtype != np.uint8:
        raise DataError(f"{path}: images must be uint8 with 3 dimensions, not {_form(content)}")
    if 0 in content.shape:
        raise DataError(f"{path}: contains no images: {_form(content)}")


def read_labels(path: Path, num_classes: int | None = None) -> npt.NDArray[np.int64]:
    """Read the labels of an IDX file.

    Args:
        path: The file.
        num_classes: Number of classes, which labels must be less than; None to skip this check.

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
    """Return the shape and the data type of an array as text, for error messages."""
    return f"{' x '.join(map(str, content.shape))} {content.dtype.newbyteorder('=')}"
