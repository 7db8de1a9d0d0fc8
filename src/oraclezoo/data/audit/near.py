"""Nearest-neighbour rules: near duplicates and suspicious labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oraclezoo.data.audit.copies import conflicts, crosses, tail
from oraclezoo.data.audit.features import CONTRAST_FLOOR
from oraclezoo.data.audit.neighbours import Neighbours
from oraclezoo.data.audit.records import Finding, Pool

NEAR_DISTANCE = 0.04
"""Distance up to which two images are near duplicates, regardless of other neighbours."""
NEAR_RATIO = 0.3
"""Ratio of a distance to that of the fifth nearest image up to which two images are near
duplicates, regardless of the distance: a form of the ratio test of Lowe (2004)."""
MIN_CONTRAST = CONTRAST_FLOOR
"""Contrast, gray levels, below which images are not compared."""
FIFTH = 5
VOTERS = 10
"""Number of nearest images that vote on a label."""
AGAINST = 9
"""Number of votes for one other label that make a label suspicious."""


def ratios(neighbours: Neighbours) -> npt.NDArray[np.float32]:
    """Return each distance divided by the smaller fifth-neighbour distance of the two images.

    Args:
        neighbours: Neighbours of N images.

    Returns:
        float32 ``(N, K)``; infinite if K is less than five.
    """
    if neighbours.distance.shape[1] < FIFTH:
        return np.full(neighbours.distance.shape, np.inf, np.float32)
    fifth = neighbours.distance[:, FIFTH - 1]
    around = np.minimum(fifth[:, None], fifth[neighbours.index])
    return (neighbours.distance / np.maximum(around, 1e-6)).astype(np.float32)


def near_duplicates(
    pool: Pool, members: npt.NDArray[np.int64], neighbours: Neighbours
) -> list[Finding]:
    """Find pairs of near duplicates by :data:`NEAR_DISTANCE` or :data:`NEAR_RATIO`.

    No pair is serious, since only a person can distinguish a copy from a lookalike.

    Args:
        pool: The images.
        members: Indices int64 ``(N,)`` into the pool of the images that were compared.
        neighbours: Their neighbours; ``neighbours.index`` refers to ``members``.

    Returns:
        A finding per pair, by increasing distance.
    """
    ratio = ratios(neighbours)
    near = (neighbours.distance <= NEAR_DISTANCE) | (ratio <= NEAR_RATIO)
    pairs: dict[tuple[int, int], tuple[float, float, bool]] = {}
    for row, column in np.argwhere(near):
        one, other = sorted((int(row), int(neighbours.index[row, column])))
        entry = (
            float(neighbours.distance[row, column]),
            float(ratio[row, column]),
            bool(neighbours.mirrored[row, column]),
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
    pool: Pool, members: npt.NDArray[np.int64], neighbours: Neighbours
) -> list[Finding]:
    """Find images whose neighbours agree on another label.

    An image is suspicious if at least :data:`AGAINST` of its :data:`VOTERS` nearest images have one
    and the same other label. There are no findings with fewer than :data:`VOTERS` neighbours.

    Args:
        pool: The images.
        members: Indices int64 ``(N,)`` into the pool of the images that were compared.
        neighbours: Their neighbours; ``neighbours.index`` refers to ``members``.

    Returns:
        A finding per suspicious image.
    """
    if neighbours.index.shape[1] < VOTERS:
        return []
    labels = pool.labels[members]
    votes = labels[neighbours.index[:, :VOTERS]]
    findings = []
    for row in range(len(members)):
        counts = np.bincount(votes[row], minlength=pool.num_classes)
        counts[labels[row]] = 0
        other = int(counts.argmax())
        if counts[other] >= AGAINST:
            voter = neighbours.index[row, int(np.flatnonzero(votes[row] == other)[0])]
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
