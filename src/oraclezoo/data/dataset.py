"""Data sets with splits that are read on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from oraclezoo.contracts import Dataset, Split
from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.errors import UnknownNameError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class ArraySplit:
    """Images and labels in memory; implements contracts.Split.

    Attributes:
        images: uint8 ``(N, H, W)``.
        labels: int64 ``(N,)``.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def take(self, chosen: npt.NDArray[np.bool_]) -> ArraySplit:
        """Select images and labels by a mask.

        Args:
            chosen: bool ``(N,)``.

        Returns:
            The selected images and labels, in order.
        """
        return ArraySplit(self.images[chosen], self.labels[chosen])


class ArrayDataset:
    """A contracts.Dataset with one reading function for each of the three splits.

    Args:
        classes: Class names, in label order.
        glyphs: The modern character of each class.
        flip_keeps_label: Whether a mirrored image has the same label.
        synthetic: Whether the images are synthetic.
        sha256: SHA-256 of each file that was read, keyed by file name. The readers add entries; the
            attribute is a read-only view.
        readers: Functions that read the splits, keyed by split name.
        name: Name of a custom data set; empty for built-in data sets.
        source: Public source of a custom data set; empty if not stated.
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
        name: str = "",
        source: str = "",
    ) -> None:
        self.name, self.source = name, source
        self.classes, self.glyphs = classes, glyphs
        self.flip_keeps_label, self.synthetic = flip_keeps_label, synthetic
        self.sha256: Mapping[str, str] = MappingProxyType(sha256)
        self._readers = dict(readers)
        self._splits: dict[str, Split] = {}

    def split(self, name: str) -> Split:
        """Return a split, read on first use.

        Args:
            name: "train", "validation" or "test".

        Returns:
            The images and labels.

        Raises:
            UsageError: If no split has this name.
            DataError: If the split cannot be read.
        """
        if name not in self._readers:
            raise UnknownNameError("split", name, self._readers)
        if name not in self._splits:
            self._splits[name] = self._readers[name]()
        return self._splits[name]


def oracle_dataset(
    *, synthetic: bool, sha256: dict[str, str], readers: Mapping[str, Callable[[], Split]]
) -> ArrayDataset:
    """Return a data set with Oracle-MNIST's ten characters; flips preserve its labels.

    Args:
        synthetic: As for :class:`ArrayDataset`.
        sha256: As for :class:`ArrayDataset`.
        readers: As for :class:`ArrayDataset`.

    Returns:
        The data set.
    """
    return ArrayDataset(
        classes=CLASSES,
        glyphs=GLYPHS,
        flip_keeps_label=True,
        synthetic=synthetic,
        sha256=sha256,
        readers=readers,
    )


def digests(dataset: Dataset, *splits: str) -> dict[str, str]:
    """Read ``splits`` and return the SHA-256 of each source file that has been read.

    Args:
        dataset: The data set.
        splits: Names of splits; each split is read only once.

    Returns:
        SHA-256 (hex) of each file, keyed by file name.

    Raises:
        UsageError: If no split has this name.
        DataError: If a split cannot be read.
    """
    for name in splits:
        dataset.split(name)
    return dict(dataset.sha256)
