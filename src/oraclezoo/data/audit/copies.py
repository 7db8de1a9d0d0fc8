"""Exact duplicates: images with equal bytes, optionally up to mirroring."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from oraclezoo.data.audit.records import Finding, Pool


def exact_copies(pool: Pool, *, mirrored: bool) -> tuple[list[Finding], npt.NDArray[np.int64]]:
    """Find groups of images with equal bytes.

    Args:
        pool: The images.
        mirrored: Whether left-right mirror images count as equal.

    Returns:
        A finding per group of two or more images, serious if the group crosses splits or has more
        than one label; and the index of the first image of every group, singletons included, int64
        ``(G,)``.
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
        across, conflict = crosses(pool, group), conflicts(pool, group)
        note = f"{len(group)} equal images" if as_is else f"{len(group)} images, equal if mirrored"
        findings.append(
            Finding(
                "exact-duplicate" if as_is else "mirrored-duplicate",
                across or conflict,
                pool.places(group),
                float(len(group)),
                note + tail(across, conflict),
            )
        )
    return findings, np.array([group[0] for group in groups.values()], dtype=np.int64)


def crosses(pool: Pool, group: list[int]) -> bool:
    """Return whether a group of images belongs to more than one split.

    Args:
        pool: The images.
        group: Indices into the pool.

    Returns:
        True if the group crosses splits.
    """
    return len({int(pool.splits[at]) for at in group}) > 1


def conflicts(pool: Pool, group: list[int]) -> bool:
    """Return whether a group of images has more than one label.

    Args:
        pool: The images.
        group: Indices into the pool.

    Returns:
        True if the labels differ.
    """
    return len({int(pool.labels[at]) for at in group}) > 1


def tail(across: bool, conflict: bool) -> str:
    """Return the suffix of a finding's note.

    Args:
        across: Whether the images belong to more than one split.
        conflict: Whether they have more than one label.

    Returns:
        The suffix, "" if neither holds.
    """
    return (", across splits" if across else "") + (", labels differ" if conflict else "")
