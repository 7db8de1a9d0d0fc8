"""Data sets whose splits are read when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from oraclezoo.contracts import Dataset, Split
from oraclezoo.errors import UsageError, nearest

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class ArraySplit:
    """Images uint8 ``(N, H, W)`` and labels int64 ``(N,)``. Keeps contracts.Split."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def take(self, chosen: npt.NDArray[np.bool_]) -> ArraySplit:
        """The images and labels where ``chosen``, bool ``(N,)``, is true, in order."""
        return ArraySplit(self.images[chosen], self.labels[chosen])


class ArrayDataset:
    """Keeps contracts.Dataset over one reading function for each of the three splits.

    ``sha256`` is filled in by the readers as they read, so that it names what was read and no
    more; the mapping that users see is a read-only view.
    """

    def __init__(
        self,
        *,
        classes: tuple[str, ...],
        glyphs: tuple[str, ...],
        flip_keeps_label: bool,
        synthetic: bool,
        sha256: dict[str, str],
        readers: Mapping[str, Callable[[], Split]],
    ) -> None:
        self.classes, self.glyphs = classes, glyphs
        self.flip_keeps_label, self.synthetic = flip_keeps_label, synthetic
        self.sha256: Mapping[str, str] = MappingProxyType(sha256)
        self._readers = dict(readers)
        self._splits: dict[str, Split] = {}

    def split(self, name: str) -> Split:
        """One of "train", "validation" and "test"; read once. Raises UsageError, DataError."""
        if name not in self._readers:
            raise UsageError(f"there is no split '{name}'{nearest(name, self._readers)}")
        if name not in self._splits:
            self._splits[name] = self._readers[name]()
        return self._splits[name]


def digests(dataset: Dataset, *splits: str) -> dict[str, str]:
    """Return the SHA-256 of each source file that has been read, after reading ``splits``.

    Reading is cached, so that a split costs time only once. Raises UsageError, DataError.
    """
    for name in splits:
        dataset.split(name)
    return dict(dataset.sha256)
