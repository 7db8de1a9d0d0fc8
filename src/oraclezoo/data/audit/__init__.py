"""Data set audit: file digests, class balance, duplicates, blank images, outliers, label errors.

The audit reads all three splits, including the test images. Training and model selection never
read its report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from oraclezoo.contracts import Dataset
from oraclezoo.data.audit import copies, counts, looks, near
from oraclezoo.data.audit.features import contrast, strokes
from oraclezoo.data.audit.files import FileRow, unpublished
from oraclezoo.data.audit.neighbours import Neighbours, nearest
from oraclezoo.data.audit.records import Finding, Pool
from oraclezoo.data.dataset import SPLITS

__all__ = ["KINDS", "Audit", "audit", "damaged"]

KINDS = {
    "checksum": "a file that is not the published one",
    "label-set": "a class that a split lacks",
    "blank": "an image of one value",
    "almost-blank": "an image without strokes to speak of",
    "saturated": "an image mostly white",
    "exact-duplicate": "images of equal bytes",
    "mirrored-duplicate": "images whose mirror images have equal bytes",
    "near-duplicate": "two images much nearer to each other than to any others",
    "suspicious-label": "an image whose neighbours have another label",
    "outlier": "an image far from its class in brightness, contrast, bars or ink",
}
"""Each kind of finding, in the order of the report."""


@dataclass(frozen=True)
class Audit:
    """Report of an audit.

    Attributes:
        files: The source files and their digests.
        findings: All findings, by rule.
        summary: Image counts, class statistics and thresholds, as in the JSON report.
        pool: The images; None if a file failed its digest check, so that nothing was opened.
    """

    files: tuple[FileRow, ...]
    findings: tuple[Finding, ...]
    summary: dict[str, Any]
    pool: Pool | None

    @property
    def serious(self) -> int:
        """Number of serious findings."""
        return sum(finding.serious for finding in self.findings)

    @property
    def numbers(self) -> dict[str, int]:
        """Number of findings of each kind, zeros included, in the order of :data:`KINDS`."""
        counter = Counter(finding.kind for finding in self.findings)
        return {kind: counter[kind] for kind in KINDS}

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON document, without images."""
        return {
            **self.summary,
            "files": [row.as_json() for row in self.files],
            "numbers": self.numbers,
            "serious": self.serious,
            "findings": [finding.as_json() for finding in self.findings],
        }


def damaged(files: list[FileRow]) -> Audit | None:
    """Return the report of files that fail their digest check.

    Args:
        files: The checked files.

    Returns:
        A report with a serious finding for each bad file, or None if every status is "ok".
    """
    bad = [row for row in files if row.status != "ok"]
    if not bad:
        return None
    findings = tuple(Finding("checksum", True, (), 0.0, f"{row.name}: {row.status}") for row in bad)
    return Audit(tuple(files), findings, {}, None)


def audit(
    dataset: Dataset, files: list[FileRow], *, progress: Callable[[str], None] | None = None
) -> Audit:
    """Audit every image of a data set. Deterministic on one machine.

    Mirror images are compared too if the data set declares that a flip keeps the label.

    Args:
        dataset: The data set.
        files: The files whose digests have been checked
            (:func:`~oraclezoo.data.audit.files.published`).
        progress: Receives lines of text about the progress.

    Returns:
        The report.

    Raises:
        DataError: If a split cannot be read, or the splits differ in image size.
    """
    pool = Pool.of(dataset)
    flips = dataset.flip_keeps_label
    band = strokes(pool.images)
    strength, statistics = contrast(band), looks.looks(pool)
    findings = counts.label_sets(pool) + looks.faint(pool, statistics, strength)
    equal, members = copies.exact_copies(pool, mirrored=flips)
    findings += equal
    # images without strokes resemble each other and would all match
    members = members[strength[members] >= near.MIN_CONTRAST]
    neighbours = None
    if len(members) > 1:
        neighbours = nearest(band[members], mirrored=flips, progress=progress)
        findings += near.near_duplicates(pool, members, neighbours)
        findings += near.suspicious_labels(pool, members, neighbours)
    findings += looks.outliers(pool, statistics)
    table = counts.table(pool)
    summary = {
        "synthetic": dataset.synthetic,
        "images": len(pool.labels),
        "image_size": list(pool.images.shape[1:]),
        "splits": dict(zip(SPLITS, table.sum(0).tolist(), strict=True)),
        "mirrored": flips,
        "balance": counts.balance(pool),
        "classes": [
            {
                "label": label,
                "name": dataset.classes[label],
                "glyph": dataset.glyphs[label],
                **dict(zip(SPLITS, table[label].tolist(), strict=True)),
                **row,
            }
            for label, row in enumerate(looks.by_class(pool, statistics))
        ],
        "rules": {
            "near_distance": near.NEAR_DISTANCE,
            "near_ratio": near.NEAR_RATIO,
            "votes": [near.AGAINST, near.VOTERS],
            "outlier": looks.FAR,
            "saturated": looks.SATURATED,
            "min_contrast": near.MIN_CONTRAST,
        },
        "neighbours": _neighbours(pool, members, neighbours),
    }
    rows = (*files, *unpublished(dataset.sha256, files))
    return Audit(rows, tuple(findings), summary, pool)


def _neighbours(pool: Pool, members: Any, neighbours: Neighbours | None) -> dict[str, Any] | None:
    """Return quantiles of the nearest-neighbour distance and the share of equal labels."""
    if neighbours is None:
        return None
    first = neighbours.distance[:, 0]
    ratio = near.ratios(neighbours)
    shares = (0, 0.001, 0.01, 0.1, 0.5, 0.9)
    agree = pool.labels[members][neighbours.index[:, 0]] == pool.labels[members]
    least = float(ratio.min())
    return {
        "compared": len(members),
        "quantiles": list(shares),
        "nearest_distance": [round(float(value), 4) for value in np.quantile(first, shares)],
        "least_ratio": round(least, 4) if np.isfinite(least) else None,
        "nearest_has_label": round(float(agree.mean()), 4),
    }
