"""Records of an audit: its images and its findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import SPLITS
from oraclezoo.errors import DataError


@dataclass(frozen=True, slots=True)
class Place:
    """Position of an image: its split, its index in the split (from 0) and its label."""

    split: str
    index: int
    label: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of the audit.

    Attributes:
        kind: A key of :data:`oraclezoo.data.audit.KINDS`.
        serious: Whether the audit's command fails because of it.
        places: The images concerned; empty if it concerns a class or a file.
        value: The number that the rule thresholds: a distance, a share or a count.
        note: Description for people.
    """

    kind: str
    serious: bool
    places: tuple[Place, ...]
    value: float
    note: str

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON document."""
        return {
            "kind": self.kind,
            "serious": self.serious,
            "places": [[place.split, place.index, place.label] for place in self.places],
            "value": round(self.value, 4),
            "note": self.note,
        }


@dataclass(frozen=True)
class Pool:
    """All images of a data set, concatenated in the order of :data:`SPLITS`.

    Attributes:
        images: uint8 ``(N, H, W)``.
        labels: int64 ``(N,)``.
        splits: Index into :data:`SPLITS` of each image, int64 ``(N,)``.
        num_classes: Number of classes that the data set declares.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    splits: npt.NDArray[np.int64]
    num_classes: int

    @classmethod
    def of(cls, dataset: Dataset) -> Pool:
        """Read all three splits of a data set.

        Args:
            dataset: The data set.

        Returns:
            The pool.

        Raises:
            DataError: If a split cannot be read, or the splits differ in image size.
        """
        parts = [dataset.split(name) for name in SPLITS]
        sizes = {tuple(part.images.shape[1:]) for part in parts if len(part.labels)}
        if len(sizes) != 1:
            raise DataError(f"the splits have images of different sizes: {sorted(sizes)}")
        return cls(
            np.concatenate([np.asarray(part.images) for part in parts if len(part.labels)]),
            np.concatenate([part.labels for part in parts]),
            np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts]),
            len(dataset.classes),
        )

    def place(self, at: int) -> Place:
        """Return the position of an image.

        Args:
            at: Index into the pool.

        Returns:
            Split, index in the split, and label.
        """
        split = int(self.splits[at])
        first = int(np.searchsorted(self.splits, split))
        return Place(SPLITS[split], int(at) - first, int(self.labels[at]))

    def places(self, many: Sequence[int] | npt.NDArray[np.int64]) -> tuple[Place, ...]:
        """Return the position of each image.

        Args:
            many: Indices into the pool.

        Returns:
            Split, index in the split, and label of each.
        """
        return tuple(self.place(int(at)) for at in many)

    def at(self, place: Place) -> int:
        """Return the pool index of an image; the inverse of :meth:`place`.

        Args:
            place: Its position.

        Returns:
            Index into the pool.
        """
        return int(np.searchsorted(self.splits, SPLITS.index(place.split))) + place.index
