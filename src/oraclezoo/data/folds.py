"""Cross-validation folds from the training and validation images of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tomli_w

from oraclezoo.contracts import Dataset
from oraclezoo.data.folder import ABOUT, FILES, VALIDATION
from oraclezoo.data.idx import write_idx
from oraclezoo.data.splits import position_in_class
from oraclezoo.errors import DataError, UsageError
from oraclezoo.storage import write_atomically

MAX_CLASSES = 256
"""Maximum number of classes in IDX files, whose labels are single bytes."""


def deal(dataset: Dataset, out: Path, folds: int) -> list[Path]:
    """Write a folder for track ``idx`` per fold, in which the fold is the validation split.

    Image ``i`` of each class goes to fold ``i % folds``, counting training images before validation
    images. The test split is not read; the test files that the track requires contain a copy of the
    fold.

    Args:
        dataset: The data set.
        out: Parent folder for the folders of the folds.
        folds: Number of folds, at least 2.

    Returns:
        The folders, in the order of the folds.

    Raises:
        UsageError: If there are too few or too many folds.
        DataError: If the data set cannot be read or has more than :data:`MAX_CLASSES` classes.
    """
    parts = [dataset.split("train"), dataset.split("validation")]
    images = np.concatenate([np.asarray(part.images) for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    if folds < 2:
        raise UsageError(f"cross-validation requires at least 2 folds, not {folds}")
    if len(dataset.classes) > MAX_CLASSES:
        raise DataError(f"{len(dataset.classes)} classes; at most {MAX_CLASSES} are supported")
    smallest = np.bincount(labels, minlength=len(dataset.classes)).min()
    if smallest < folds:
        raise UsageError(f"{folds} folds, but a class has only {smallest} images; use fewer folds")
    fold = position_in_class(labels) % folds
    about = {
        "classes": list(dataset.classes),
        "glyphs": list(dataset.glyphs),
        "flip_keeps_label": dataset.flip_keeps_label,
        "synthetic": dataset.synthetic,
    }
    folders = []
    for number in range(folds):
        folder = out / f"fold{number}"
        folder.mkdir(parents=True, exist_ok=True)
        in_fold = fold == number
        for role, name in {**FILES, **VALIDATION}.items():
            chosen = ~in_fold if role.startswith("training") else in_fold
            values = images if role.endswith("images") else labels.astype(np.uint8)
            write_idx(folder / name, values[chosen])
        write_atomically(folder / ABOUT, tomli_w.dumps(about).encode())
        folders.append(folder)
    return folders
