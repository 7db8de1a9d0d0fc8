"""Input and findings of an audit, as frozen records."""

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
    """Position of an image: its split, its index in the split, and its label."""

    split: str
    index: int
    label: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: its kind, whether it is serious, its images, and a measure in words.

    ``value`` is the number that the rule of its kind compares (a distance, a share, a count).
    """

    kind: str
    serious: bool
    places: tuple[Place, ...]
    value: float
    note: str

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return {
            "kind": self.kind,
            "serious": self.serious,
            "places": [[place.split, place.index, place.label] for place in self.places],
            "value": round(self.value, 4),
            "note": self.note,
        }


@dataclass(frozen=True)
class Pool:
    """All images of a data set, split by split.

    ``images`` are uint8 ``(N, H, W)``; ``labels`` and ``splits`` (indices into :data:`SPLITS`) are
    int64 ``(N,)``. ``num_classes`` is as declared by the data set.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    splits: npt.NDArray[np.int64]
    num_classes: int

    @classmethod
    def of(cls, dataset: Dataset) -> Pool:
        """Read all three splits. Raises DataError."""
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
        """Return the position of image ``at`` of the pool."""
        split = int(self.splits[at])
        first = int(np.searchsorted(self.splits, split))
        return Place(SPLITS[split], int(at) - first, int(self.labels[at]))

    def places(self, many: Sequence[int] | npt.NDArray[np.int64]) -> tuple[Place, ...]:
        """Return the position of each image."""
        return tuple(self.place(int(at)) for at in many)

    def at(self, place: Place) -> int:
        """Return the index of an image in the pool, the inverse of :meth:`place`."""
        return int(np.searchsorted(self.splits, SPLITS.index(place.split))) + place.index
