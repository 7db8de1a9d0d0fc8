"""Audit of a data set: files, class balance, duplicates, blank and unusual images, wrong labels.

The audit reads all three splits, including the test images. No code that trains or selects a model
uses its findings.
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
    """Findings of an audit. ``pool`` is None if the files are too damaged to be opened."""

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
        """Number of findings of each kind, including zeros."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS}

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON data, without images."""
        return {
            **self.summary,
            "files": [row.as_json() for row in self.files],
            "numbers": self.numbers,
            "serious": self.serious,
            "findings": [finding.as_json() for finding in self.findings],
        }


def damaged(files: list[FileRow]) -> Audit | None:
    """Return an audit of the files that do not match their digests, or None if all match."""
    bad = [row for row in files if row.status != "ok"]
    if not bad:
        return None
    findings = tuple(Finding("checksum", True, (), 0.0, f"{row.name}: {row.status}") for row in bad)
    return Audit(tuple(files), findings, {}, None)


def audit(
    dataset: Dataset, files: list[FileRow], *, progress: Callable[[str], None] | None = None
) -> Audit:
    """Audit every image of ``dataset``; ``files`` are those already verified.

    Mirror images are compared too if flips keep the labels of this data set. Deterministic on one
    machine. Raises DataError.
    """
    pool = Pool.of(dataset)
    flips = dataset.flip_keeps_label
    band = strokes(pool.images)
    strength, seen = contrast(band), looks.looks(pool)
    findings = counts.label_sets(pool) + looks.faint(pool, seen, strength)
    equal, members = copies.exact_copies(pool, mirrored=flips)
    findings += equal
    # images without strokes all look alike
    members = members[strength[members] >= near.MIN_CONTRAST]
    found = None
    if len(members) > 1:
        found = nearest(band[members], mirrored=flips, progress=progress)
        findings += near.near_duplicates(pool, members, found)
        findings += near.suspicious_labels(pool, members, found)
    findings += looks.outliers(pool, seen)
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
            for label, row in enumerate(looks.by_class(pool, seen))
        ],
        "rules": {
            "near_distance": near.NEAR_DISTANCE,
            "near_ratio": near.NEAR_RATIO,
            "votes": [near.AGAINST, near.VOTERS],
            "outlier": looks.FAR,
            "saturated": looks.SATURATED,
            "min_contrast": near.MIN_CONTRAST,
        },
        "neighbours": _neighbours(pool, members, found),
    }
    rows = (*files, *unpublished(dataset.sha256, files))
    return Audit(rows, tuple(findings), summary, pool)


def _neighbours(pool: Pool, members: Any, found: Neighbours | None) -> dict[str, Any] | None:
    """Return quantiles of the nearest-neighbour distance, and the share of equal labels."""
    if found is None:
        return None
    first = found.distance[:, 0]
    ratio = near.ratios(found)
    shares = (0, 0.001, 0.01, 0.1, 0.5, 0.9)
    agree = pool.labels[members][found.index[:, 0]] == pool.labels[members]
    least = float(ratio.min())
    return {
        "compared": len(members),
        "quantiles": list(shares),
        "nearest_distance": [round(float(value), 4) for value in np.quantile(first, shares)],
        "least_ratio": round(least, 4) if np.isfinite(least) else None,
        "nearest_has_label": round(float(agree.mean()), 4),
    }
