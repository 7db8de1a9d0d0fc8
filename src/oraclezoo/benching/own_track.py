"""Save the record of a user's data set next to its results."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oraclezoo.contracts import Dataset
from oraclezoo.result import Result
from oraclezoo.result.own_track import OwnTrack


def name_of(dataset: Dataset) -> str:
    """Return the name of a user's data set; empty if it is unnamed or the data set is built in."""
    return str(getattr(dataset, "name", ""))


def keep_track(
    dataset: Dataset, result: Result, labels: npt.NDArray[np.int64] | None, folder: Path
) -> None:
    """Write the record of a result's data set, if the data set has a name.

    Args:
        dataset: The data set.
        result: A result on this data set.
        labels: The test labels; None if no training run succeeded.
        folder: Folder with the results.

    Raises:
        ResultError: A record with this name exists for different data.
    """
    name, track = name_of(dataset), result.track
    if not name or labels is None:
        return
    OwnTrack(
        name=name,
        source=str(getattr(dataset, "source", "")),
        synthetic=track.synthetic,
        classes=track.classes,
        image_size=track.image_size,
        learning=track.train + track.validation,
        test=track.test,
        labels_sha256=hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest(),
        sha256=dict(track.data_sha256),
    ).save(folder)
