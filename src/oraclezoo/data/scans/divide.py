"""Train, validation and test split of the prepared images, class counts and duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from oraclezoo.data.scans.files import natural
from oraclezoo.data.scans.layout import SIDES, ClassNames, Layout, Scan, Side
from oraclezoo.data.scans.report import ClassCounts, Duplicates
from oraclezoo.data.scans.store import Kept
from oraclezoo.errors import DataError


class Shares(NamedTuple):
    """Percentages of images that the hash assigns to validation and test."""

    validation: int
    test: int


class Placed(NamedTuple):
    """An image of the data set: its scan, label and side, and where it is stored."""

    scan: Scan
    label: int
    side: Side
    kept: Kept


def side_of(image_sha256: str, shares: Shares) -> Side:
    """Return the side of an image as a function of its SHA-256 alone.

    Identical images are always on the same side. Images keep their side when others are added, or
    when the share of the other side changes. With 10% validation, the validation images are those
    of track ``oracle-mnist``: the digest, as a big-endian integer, is divisible by ten.

    Args:
        image_sha256: SHA-256 (hex) of the image's bytes, row by row.
        shares: Percentages of validation and test.

    Returns:
        "train", "validation" or "test".
    """
    tens, ones = divmod(int(image_sha256, 16) % 100, 10)
    rank = 10 * ones + tens
    if rank < shares.validation:
        return "validation"
    return "test" if rank >= 100 - shares.test else "train"


def divide(
    layout: Layout, classes: ClassNames, shares: Shares, kept: Mapping[str, Kept]
) -> list[Placed]:
    """Assign a label and a side to every prepared image.

    Scans in test and validation folders stay there; the others are split by :func:`side_of`.

    Args:
        layout: The scans.
        classes: Classes in label order.
        shares: Percentages of validation and test.
        kept: The stored images, by the key of their file.

    Returns:
        The images by label, then in natural order of their paths.

    Raises:
        DataError: If a class has no training image, or a requested side has no image.
    """
    labels = {folder: label for label, folder in enumerate(classes.folders)}
    placed = []
    for scan in layout.scans:
        image = kept.get(scan.file.key)
        if image is not None:
            fixed = scan.side if scan.side in ("validation", "test") else None
            side = fixed or side_of(image.image_sha256, shares)
            placed.append(Placed(scan, labels[scan.folder], side, image))
    placed.sort(key=lambda one: (one.label, natural(one.scan.path)))
    _check(layout, classes, shares, placed)
    return placed


def counts(
    layout: Layout, classes: ClassNames, placed: Sequence[Placed]
) -> tuple[ClassCounts, ...]:
    """Count the images and rejected files of each class.

    Args:
        layout: The scans.
        classes: Classes in label order.
        placed: The images of the data set.

    Returns:
        The counts, in label order.
    """
    images = Counter((one.label, one.side) for one in placed)
    files = Counter(scan.folder for scan in layout.scans)
    rows = zip(classes.folders, classes.names, classes.glyphs, strict=True)
    return tuple(
        ClassCounts(
            name,
            glyph,
            {side: images[label, side] for side in SIDES},
            files[folder] - sum(images[label, side] for side in SIDES),
        )
        for label, (folder, name, glyph) in enumerate(rows)
    )


def duplicates(classes: ClassNames, placed: Sequence[Placed]) -> tuple[Duplicates, ...]:
    """Find groups of files that give the same image.

    Args:
        classes: Classes in label order.
        placed: The images of the data set.

    Returns:
        The groups.
    """
    groups: dict[str, list[Placed]] = defaultdict(list)
    for one in placed:
        groups[one.kept.image_sha256].append(one)
    return tuple(
        Duplicates(
            tuple(one.scan.file.name for one in group),
            tuple(classes.names[one.label] for one in group),
            tuple(one.side for one in group),
        )
        for group in groups.values()
        if len(group) > 1
    )


def _check(layout: Layout, classes: ClassNames, shares: Shares, placed: Sequence[Placed]) -> None:
    for each in counts(layout, classes, placed):
        if not each.images["train"]:
            usable = sum(each.images.values())
            raise DataError(
                f"class '{each.name}' has no training images: {each.rejected} files were rejected, "
                f"{usable} assigned to validation and test"
            )
    for side, wanted in (("validation", shares.validation), ("test", shares.test)):
        if (wanted or side in layout.sides) and all(one.side != side for one in placed):
            if side in layout.sides:
                raise DataError(f"no usable images in the {side} folder")
            raise DataError(
                f"no images were assigned to {side} ({wanted}%)\nAdd images, or increase --{side}."
            )
