"""What an audit is given and what it finds, as frozen records."""

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
    """Where an image stands: its split, its number there from 0 up, and its label."""

    split: str
    index: int
    label: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at: what ``kind``, whether ``serious``, where, and a measure in words.

    ``value`` is the number that the rule of its kind looked at (a distance, a share, a count).
    """

    kind: str
    serious: bool
    places: tuple[Place, ...]
    value: float
    note: str

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "kind": self.kind,
            "serious": self.serious,
            "places": [[place.split, place.index, place.label] for place in self.places],
            "value": round(self.value, 4),
            "note": self.note,
        }


@dataclass(frozen=True)
class Pool:
    """All images of a data set, one split after another.

    ``images`` uint8 ``(N, H, W)``, ``labels`` and ``splits`` (numbers of :data:`SPLITS`) int64
    ``(N,)``; ``num_classes`` as the data set declares.
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
        """Where image ``at`` of the pool stands."""
        split = int(self.splits[at])
        first = int(np.searchsorted(self.splits, split))
        return Place(SPLITS[split], int(at) - first, int(self.labels[at]))

    def places(self, many: Sequence[int] | npt.NDArray[np.int64]) -> tuple[Place, ...]:
        """:meth:`place` of each."""
        return tuple(self.place(int(at)) for at in many)

    def at(self, place: Place) -> int:
        """The inverse of :meth:`place`."""
        return int(np.searchsorted(self.splits, SPLITS.index(place.split))) + place.index
