"""Find exact duplicates, near-duplicates, and labels that contradict those of similar images."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from oraclezoo.data.audit.neighbors import CONTRAST_FLOOR, Neighbors
from oraclezoo.data.audit.report import Finding, NeighborSummary, Pool

NEAR_DISTANCE = 0.04
"""Maximum distance at which two images are near-duplicates, regardless of other neighbors."""
NEAR_RATIO = 0.3
"""Maximum ratio of a distance to that of the fifth-nearest image at which two images are
near-duplicates, regardless of the distance (a variant of Lowe's ratio test, 2004)."""
MIN_CONTRAST = CONTRAST_FLOOR
"""Minimum contrast, in gray levels, of images that are compared."""
FIFTH = 5
VOTERS = 10
"""Number of nearest images that vote on a label."""
AGAINST = 9
"""Number of votes for the same different label that makes a label suspicious."""
_QUANTILES = (0, 0.001, 0.01, 0.1, 0.5, 0.9)


def exact_duplicates(pool: Pool, *, mirrored: bool) -> tuple[list[Finding], npt.NDArray[np.int64]]:
    """Find groups of byte-identical images.

    Args:
        pool: The images.
        mirrored: Whether left-right mirror images count as equal.

    Returns:
        One finding per group of two or more images, which is serious if the group spans several
        splits or labels; and the index of the first image of every group, int64 ``(G,)``, where a
        unique image forms its own group.
    """
    groups: dict[bytes, list[int]] = defaultdict(list)
    for at, image in enumerate(pool.images):
        key = image.tobytes()
        if mirrored:
            key = min(key, image[:, ::-1].tobytes())
        groups[key].append(at)
    findings = []
    for group in groups.values():
        if len(group) == 1:
            continue
        as_is = len({pool.images[at].tobytes() for at in group}) == 1
        spread = _spread(pool, group)
        note = f"{len(group)} equal images" if as_is else f"{len(group)} images, equal if mirrored"
        findings.append(
            Finding(
                "exact-duplicate" if as_is else "mirrored-duplicate",
                bool(spread),
                pool.places(group),
                float(len(group)),
                note + spread,
            )
        )
    return findings, np.array([group[0] for group in groups.values()], dtype=np.int64)


def ratios(neighbors: Neighbors) -> npt.NDArray[np.float32]:
    """Divide each distance by the smaller of the two images' fifth-neighbor distances.

    Args:
        neighbors: Neighbors of N images.

    Returns:
        float32 ``(N, K)``; infinite if K is less than five.
    """
    if neighbors.distance.shape[1] < FIFTH:
        return np.full(neighbors.distance.shape, np.inf, np.float32)
    fifth = neighbors.distance[:, FIFTH - 1]
    around = np.minimum(fifth[:, None], fifth[neighbors.index])
    return (neighbors.distance / np.maximum(around, 1e-6)).astype(np.float32)


def near_duplicates(
    pool: Pool, members: npt.NDArray[np.int64], neighbors: Neighbors
) -> list[Finding]:
    """Find pairs of near-duplicates, using :data:`NEAR_DISTANCE` and :data:`NEAR_RATIO`.

    No finding is serious, since only a person can distinguish a copy from a similar image.

    Args:
        pool: The images.
        members: Pool indices of the images that were compared, int64 ``(N,)``.
        neighbors: Neighbors of these images; ``neighbors.index`` refers to ``members``.

    Returns:
        One finding per pair, by increasing distance.
    """
    ratio = ratios(neighbors)
    near = (neighbors.distance <= NEAR_DISTANCE) | (ratio <= NEAR_RATIO)
    pairs: dict[tuple[int, int], tuple[float, float, bool]] = {}
    for row, column in np.argwhere(near):
        one, other = sorted((int(row), int(neighbors.index[row, column])))
        entry = (
            float(neighbors.distance[row, column]),
            float(ratio[row, column]),
            bool(neighbors.mirrored[row, column]),
        )
        pairs[one, other] = min(entry, pairs.get((one, other), entry))
    findings = []
    for (one, other), (distance, share, mirrored) in sorted(pairs.items(), key=lambda p: p[1]):
        group = [int(members[one]), int(members[other])]
        against = f", {share:.2f} of that to the fifth nearest" if np.isfinite(share) else ""
        note = f"distance {distance:.3f}{against}{', mirrored' if mirrored else ''}"
        note += _spread(pool, group)
        findings.append(Finding("near-duplicate", False, pool.places(group), distance, note))
    return findings


def suspicious_labels(
    pool: Pool, members: npt.NDArray[np.int64], neighbors: Neighbors
) -> list[Finding]:
    """Find images whose nearest neighbors agree on a different label.

    A label is suspicious if at least :data:`AGAINST` of the :data:`VOTERS` nearest images share a
    different label. With fewer than :data:`VOTERS` neighbors there are no findings.

    Args:
        pool: The images.
        members: Pool indices of the images that were compared, int64 ``(N,)``.
        neighbors: Neighbors of these images; ``neighbors.index`` refers to ``members``.

    Returns:
        One finding per suspicious image.
    """
    if neighbors.index.shape[1] < VOTERS:
        return []
    labels = pool.labels[members]
    votes = labels[neighbors.index[:, :VOTERS]]
    findings = []
    for row in range(len(members)):
        counts = np.bincount(votes[row], minlength=pool.num_classes)
        counts[labels[row]] = 0
        other = int(counts.argmax())
        if counts[other] >= AGAINST:
            voter = neighbors.index[row, int(np.flatnonzero(votes[row] == other)[0])]
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


def summary(pool: Pool, members: npt.NDArray[np.int64], neighbors: Neighbors) -> NeighborSummary:
    """Summarize the nearest-neighbor distances.

    Args:
        pool: The images.
        members: Pool indices of the images that were compared, int64 ``(N,)``.
        neighbors: Neighbors of these images; ``neighbors.index`` refers to ``members``.

    Returns:
        Quantiles of the distance, and the fraction of nearest neighbors with the same label.
    """
    distances = np.quantile(neighbors.distance[:, 0], _QUANTILES)
    labels = pool.labels[members]
    least = float(ratios(neighbors).min())
    return NeighborSummary(
        compared=len(members),
        quantiles=_QUANTILES,
        nearest_distance=tuple(round(float(value), 4) for value in distances),
        least_ratio=round(least, 4) if np.isfinite(least) else None,
        nearest_has_label=round(float((labels[neighbors.index[:, 0]] == labels).mean()), 4),
    )


def _spread(pool: Pool, group: list[int]) -> str:
    """Return the end of a note: whether images span several splits or labels."""
    across = len(set(pool.splits[group].tolist())) > 1
    conflict = len(set(pool.labels[group].tolist())) > 1
    return (", across splits" if across else "") + (", labels differ" if conflict else "")
