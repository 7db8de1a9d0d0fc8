"""Report of an audit: images, findings, summary and contact sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import SPLITS
from oraclezoo.data.lettering import Lettering
from oraclezoo.data.tiles import captioned_sheet
from oraclezoo.errors import DataError

KINDS = {
    "checksum": "file that differs from the published one",
    "label-set": "class without images in a split",
    "blank": "constant image",
    "almost-blank": "image with hardly any strokes",
    "saturated": "mostly white image",
    "exact-duplicate": "byte-identical images",
    "mirrored-duplicate": "byte-identical images after mirroring",
    "near-duplicate": "two images much closer to each other than to any others",
    "suspicious-label": "image whose nearest neighbors have another label",
    "outlier": "image far from its class in brightness, contrast, bars or ink",
}
"""Descriptions of the kinds of findings, in the order of the report."""

_IMAGES_PER_CELL = 3
_LETTERS_PER_LINE = 34


@dataclass(frozen=True, slots=True)
class Place:
    """Position of an image: its split, its index in the split (from 0) and its label."""

    split: str
    index: int
    label: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of the audit.

    Attributes:
        kind: A key of :data:`KINDS`.
        serious: Whether the finding makes the audit command fail.
        places: The affected images; empty if the finding is about a class or a file.
        value: The value that is compared with a threshold: a distance, a fraction or a count.
        note: Human-readable description.
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
    """All images of a data set, concatenated in :data:`SPLITS` order.

    Attributes:
        images: uint8 ``(N, H, W)``.
        labels: int64 ``(N,)``.
        splits: Index of each image's split in :data:`SPLITS`, int64 ``(N,)``.
        num_classes: Number of classes in the data set.
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

    def places(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> tuple[Place, ...]:
        """Return the position of each image.

        Args:
            indices: Indices into the pool.

        Returns:
            Split, index in the split, and label of each image.
        """
        return tuple(self.place(int(at)) for at in indices)

    def at(self, place: Place) -> int:
        """Return the pool index of an image; the inverse of :meth:`place`.

        Args:
            place: Position of the image.

        Returns:
            Index into the pool.
        """
        return int(np.searchsorted(self.splits, SPLITS.index(place.split))) + place.index


@dataclass(frozen=True, slots=True)
class FileRow:
    """A source file and the result of its digest check.

    Attributes:
        name: File name.
        status: "ok", "mismatch", "unreadable", or "unpublished" if there is no published digest.
        kind: Kind of the digest, "sha256" or "git-blob".
        digest: Digest of the file, hex.
    """

    name: str
    status: str
    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class Balance:
    """Class imbalance, and Pearson's chi-square test for equal class proportions in all splits.

    Attributes:
        imbalance: Ratio of the largest to the smallest nonzero class count, over all splits.
        chi_square: Test statistic; 0 if there is nothing to test.
        degrees_of_freedom: Degrees of freedom; 0 if there is nothing to test.
        p_value: P-value of the null hypothesis that all splits have the same class proportions.
    """

    imbalance: float
    chi_square: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """Image counts of a class per split, and mean and standard deviation of its statistics.

    The statistics (:class:`oraclezoo.data.audit.statistics.Statistics`) are None for a class
    without images.
    """

    label: int
    name: str
    glyph: str
    train: int
    validation: int
    test: int
    mean: tuple[float, float] | None
    std: tuple[float, float] | None
    bars: tuple[float, float] | None
    ink: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds of the findings, documented in the modules that use them."""

    near_distance: float
    near_ratio: float
    votes: tuple[int, int]
    outlier: float
    saturated: float
    min_contrast: float


@dataclass(frozen=True, slots=True)
class NeighborSummary:
    """Distribution of the nearest-neighbor distances.

    Attributes:
        compared: Number of images that were compared.
        quantiles: Probability levels of ``nearest_distance``.
        nearest_distance: Quantiles of the distance to the nearest image.
        least_ratio: Minimum ratio of a distance to that of the fifth-nearest image; None with fewer
            than five neighbors.
        nearest_has_label: Fraction of images with the same label as their nearest image.
    """

    compared: int
    quantiles: tuple[float, ...]
    nearest_distance: tuple[float, ...]
    least_ratio: float | None
    nearest_has_label: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Image counts, class statistics and thresholds of an audit.

    Attributes:
        synthetic: Whether the images are generated.
        images: Number of images.
        image_size: Height and width, pixels.
        splits: Number of images per split.
        mirrored: Whether mirror images were compared as well.
        balance: Class imbalance.
        classes: Summary of each class, in label order.
        rules: Thresholds of the findings.
        neighbors: Nearest-neighbor distances; None with fewer than two images to compare.
    """

    synthetic: bool
    images: int
    image_size: tuple[int, ...]
    splits: dict[str, int]
    mirrored: bool
    balance: Balance
    classes: tuple[ClassSummary, ...]
    rules: Rules
    neighbors: NeighborSummary | None


@dataclass(frozen=True)
class Audit:
    """Report of an audit.

    Attributes:
        files: The source files and their digests.
        findings: All findings, grouped by rule.
        summary: Counts, statistics and thresholds; None if a file failed its digest check, so that
            no image was read.
        pool: The images; None if no image was read.
    """

    files: tuple[FileRow, ...]
    findings: tuple[Finding, ...]
    summary: Summary | None
    pool: Pool | None

    @property
    def serious(self) -> int:
        """Return the number of serious findings."""
        return sum(finding.serious for finding in self.findings)

    @property
    def numbers(self) -> dict[str, int]:
        """Return the number of findings of each kind, including zeros, in :data:`KINDS` order."""
        counter = Counter(finding.kind for finding in self.findings)
        return {kind: counter[kind] for kind in KINDS}

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON document, without images."""
        return {
            **(asdict(self.summary) if self.summary else {}),
            "files": [asdict(row) for row in self.files],
            "numbers": self.numbers,
            "serious": self.serious,
            "findings": [finding.as_json() for finding in self.findings],
        }


def suspicious(
    pool: Pool,
    findings: Sequence[Finding],
    *,
    per_kind: int = 48,
    scale: int = 3,
    names: Sequence[str] = (),
    say: Callable[[str], None] | None = None,
) -> Image.Image | None:
    """Draw a contact sheet of the findings with images, one cell per finding.

    Args:
        pool: The images.
        findings: The findings, in order.
        per_kind: Maximum number of cells per kind.
        scale: Zoom factor in screen pixels per image pixel.
        names: Class names to show next to the labels.
        say: Receives a message if some names cannot be drawn with any font.

    Returns:
        A gray picture, or None if no finding has images.
    """
    cells: list[tuple[list[str], npt.NDArray[np.uint8]]] = []
    shown: dict[str, int] = {}
    fonts = Lettering(names, say)
    labels = {label: fonts.label(label, name) for label, name in enumerate(names)}
    for finding in findings:
        shown[finding.kind] = shown.get(finding.kind, 0) + 1
        if not finding.places or shown[finding.kind] > per_kind:
            continue
        places = finding.places[:_IMAGES_PER_CELL]
        images = pool.images[[pool.at(place) for place in places]]
        where = [f"{p.split} {p.index}: label {labels.get(p.label, p.label)}" for p in places]
        mark = "! " if finding.serious else ""
        cells.append(([mark + finding.kind, *_wrapped(finding.note), *where], images))
    return captioned_sheet(cells, columns=6, scale=scale) if cells else None


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _LETTERS_PER_LINE:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
