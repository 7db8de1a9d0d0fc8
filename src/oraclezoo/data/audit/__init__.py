"""Audit a data set: file digests, class balance, duplicates, blank images, outliers, label errors.

The audit reads all three splits, including the test images. Its report is never used for training
or model selection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from oraclezoo.contracts import Dataset
from oraclezoo.data import upstream
from oraclezoo.data.audit import duplicates, statistics
from oraclezoo.data.audit.neighbors import band_passed, contrast, nearest
from oraclezoo.data.audit.report import KINDS, Audit, FileRow, Finding, Pool, Rules, Summary
from oraclezoo.data.dataset import SPLITS
from oraclezoo.data.locate import check, search

__all__ = ["KINDS", "Audit", "audit", "damaged", "published", "unpublished"]

PUBLISHED: dict[str, tuple[str, ...]] = {
    "oracle-mnist": tuple(upstream.FILES),
    "oracle-mnist-3k": (upstream.TEST_IMAGES, upstream.TEST_LABELS),
}
"""Files with published digests, keyed by built-in track."""


def audit(
    dataset: Dataset, files: list[FileRow], *, progress: Callable[[str], None] | None = None
) -> Audit:
    """Audit every image of a data set. The result is deterministic on one machine.

    If flips preserve the labels of the data set, mirror images are compared as well.

    Args:
        dataset: The data set.
        files: The files whose digests have been checked (see :func:`published`).
        progress: Called with progress messages.

    Returns:
        The report.

    Raises:
        DataError: If a split cannot be read, or the splits differ in image size.
    """
    pool = Pool.of(dataset)
    flips = dataset.flip_keeps_label
    band = band_passed(pool.images)
    strength, per_image = contrast(band), statistics.statistics_of(pool)
    findings = statistics.missing_classes(pool)
    findings += statistics.blank_images(pool, per_image, strength)
    exact, members = duplicates.exact_duplicates(pool, mirrored=flips)
    findings += exact
    # images without strokes would all match each other
    members = members[strength[members] >= duplicates.MIN_CONTRAST]
    neighbors = None
    if len(members) > 1:
        matches = nearest(band[members], mirrored=flips, progress=progress)
        findings += duplicates.near_duplicates(pool, members, matches)
        findings += duplicates.suspicious_labels(pool, members, matches)
        neighbors = duplicates.summary(pool, members, matches)
    findings += statistics.outliers(pool, per_image)
    counts = statistics.class_counts(pool).sum(0).tolist()
    summary = Summary(
        synthetic=dataset.synthetic,
        images=len(pool.labels),
        image_size=pool.images.shape[1:],
        splits=dict(zip(SPLITS, counts, strict=True)),
        mirrored=flips,
        balance=statistics.balance(pool),
        classes=statistics.class_summaries(pool, per_image, dataset.classes, dataset.glyphs),
        rules=Rules(
            near_distance=duplicates.NEAR_DISTANCE,
            near_ratio=duplicates.NEAR_RATIO,
            votes=(duplicates.AGAINST, duplicates.VOTERS),
            outlier=statistics.OUTLIER,
            saturated=statistics.SATURATED,
            min_contrast=duplicates.MIN_CONTRAST,
        ),
        neighbors=neighbors,
    )
    rows = (*files, *unpublished(dataset.sha256, files))
    return Audit(rows, tuple(findings), summary, pool)


def published(track: str, data_dir: Path | None) -> list[FileRow]:
    """Check the local files of a built-in track against their published digests.

    Args:
        track: Name of the track.
        data_dir: The only folder to search; by default the folders of
            :func:`oraclezoo.data.locate.folders`.

    Returns:
        A row per file that exists; empty for tracks without published digests.

    Raises:
        DataError: If ``data_dir`` is not a folder.
    """
    rows = []
    for name, path in search(PUBLISHED.get(track, ()), data_dir).items():
        if path is not None:
            outcome = check(upstream.known(name), path)
            rows.append(FileRow(path.name, outcome.status, outcome.kind, outcome.actual))
    return rows


def unpublished(digests: Mapping[str, str], known: list[FileRow]) -> list[FileRow]:
    """List the source files or generators without a published digest.

    Args:
        digests: ``Dataset.sha256``.
        known: Rows of files that have been checked; these are omitted.

    Returns:
        A row per file.
    """
    names = {row.name for row in known}
    return [
        FileRow(name, "unpublished", "sha256", digest)
        for name, digest in digests.items()
        if name not in names
    ]


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
    return Audit(tuple(files), findings, None, None)
