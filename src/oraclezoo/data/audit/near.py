"""Near duplicates and suspicious labels, by nearest neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oraclezoo.data.audit.copies import conflicts, crosses, tail
from oraclezoo.data.audit.features import CONTRAST_FLOOR
from oraclezoo.data.audit.neighbours import Neighbours
from oraclezoo.data.audit.records import Finding, Pool

NEAR_DISTANCE = 0.04
"""Two images at most this distance apart are near duplicates, whatever their surroundings."""
NEAR_RATIO = 0.3
"""So are two images whose distance is at most this share of the distance to the fifth nearest
image, for both of them. In this ratio test (Lowe 2004), a copy is nearer than any merely similar
image."""
MIN_CONTRAST = CONTRAST_FLOOR
"""Gray levels; images with lower stroke contrast are not compared."""
FIFTH = 5
VOTERS = 10
"""Number of nearest images that vote on a label."""
AGAINST = 9
"""Votes for one other label that make a label suspicious."""


def ratios(found: Neighbours) -> npt.NDArray[np.float32]:
    """Divide distances ``(N, K)`` by the smaller of both images' distances to their fifth nearest.

    Infinite if an image has fewer than five others.
    """
    if found.distance.shape[1] < FIFTH:
        return np.full(found.distance.shape, np.inf, np.float32)
    fifth = found.distance[:, FIFTH - 1]
    around = np.minimum(fifth[:, None], fifth[found.index])
    return (found.distance / np.maximum(around, 1e-6)).astype(np.float32)


def near_duplicates(pool: Pool, members: npt.NDArray[np.int64], found: Neighbours) -> list[Finding]:
    """Return a finding for each near-duplicate pair, nearest first.

    ``members`` ``(N,)`` are the images of the pool that ``found`` refers to. No finding is
    serious: only a person can distinguish a copy from a similar image.
    """
    ratio = ratios(found)
    near = (found.distance <= NEAR_DISTANCE) | (ratio <= NEAR_RATIO)
    pairs: dict[tuple[int, int], tuple[float, float, bool]] = {}
    for row, column in np.argwhere(near):
        one, other = sorted((int(row), int(found.index[row, column])))
        entry = (
            float(found.distance[row, column]),
            float(ratio[row, column]),
            bool(found.mirrored[row, column]),
        )
        pairs[one, other] = min(entry, pairs.get((one, other), entry))
    findings = []
    for (one, other), (distance, share, mirrored) in sorted(pairs.items(), key=lambda p: p[1]):
        group = [int(members[one]), int(members[other])]
        against = f", {share:.2f} of that to the fifth nearest" if np.isfinite(share) else ""
        note = f"distance {distance:.3f}{against}{', mirrored' if mirrored else ''}"
        note += tail(crosses(pool, group), conflicts(pool, group))
        findings.append(Finding("near-duplicate", False, pool.places(group), distance, note))
    return findings


def suspicious_labels(
    pool: Pool, members: npt.NDArray[np.int64], found: Neighbours
) -> list[Finding]:
    """Return images of which :data:`AGAINST` of the :data:`VOTERS` nearest share another label."""
    if found.index.shape[1] < VOTERS:
        return []
    labels = pool.labels[members]
    votes = labels[found.index[:, :VOTERS]]
    findings = []
    for row in range(len(members)):
        counts = np.bincount(votes[row], minlength=pool.num_classes)
        counts[labels[row]] = 0
        other = int(counts.argmax())
        if counts[other] >= AGAINST:
            voter = found.index[row, int(np.flatnonzero(votes[row] == other)[0])]
            nearest = int(members[voter])
            findings.append(
                Finding(
                    "suspicious-label",
                    False,
                    pool.places([int(members[row]), nearest]),
                    float(counts[other]),
                    f"{counts[other]} of the {VOTERS} nearest images have label {other}",
                )
            )
    return findings
