"""Determine the class and the split of each scan from the folders of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.scans.sources import ScanFile, Unused, natural
from oraclezoo.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

Naming = Literal["folders", "oracle-mnist"]
"""Source of the class names."""

MAX_CLASSES = 256
"""Maximum number of classes in IDX files, whose labels are single bytes."""

_WORDS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


@dataclass(frozen=True, slots=True)
class Scan:
    """An image file and its position in the layout.

    Attributes:
        file: The file.
        path: Its path relative to the folder in which the layout begins.
        split: Split according to its folder; None if the hash of the image determines the split.
        folder: Name of its class folder.
    """

    file: ScanFile
    path: str
    split: SplitName | None
    folder: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Scans of a source in order, rejected files, and the splits that have their own folders."""

    scans: tuple[Scan, ...]
    rejected: tuple[Unused, ...]
    splits: frozenset[SplitName]


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Classes in label order: folder, name and glyph of each class."""

    folders: tuple[str, ...]
    names: tuple[str, ...]
    glyphs: tuple[str, ...]


def arrange(files: Sequence[ScanFile]) -> Layout:
    """Assign a split and a class folder to each file.

    Outer folders that contain everything are skipped. If the remaining folders are named train and
    test or validation, and contain only folders, then the inner folders are the classes. Otherwise
    each folder is a class and contains all images below it.

    Args:
        files: The files of a source.

    Returns:
        The scans in natural order by split, class folder and path.
    """
    prefix = _prefix([tuple(file.name.split("/")) for file in files])
    inner = {file: _below(tuple(file.name.split("/")), prefix) for file in files}
    splits = _split_folders(inner.values())
    scans: list[Scan] = []
    rejected: list[Unused] = []
    for file, path in inner.items():
        split = splits.get(path[0]) if path else None
        below = path[1:] if splits else path
        if len(below) < 2 or (splits and split is None):
            rejected.append(Unused(file.name, "not in a class folder"))
        else:
            scans.append(Scan(file, "/".join(path), split, below[0]))
    scans.sort(key=lambda scan: (scan.split or "", natural(scan.folder), natural(scan.path)))
    return Layout(tuple(scans), tuple(rejected), frozenset(splits.values()))


def name_classes(layout: Layout, naming: Naming) -> ClassNames:
    """Return the classes of a layout.

    Args:
        layout: The scans.
        naming: "folders" for folder names in natural order, or "oracle-mnist" for the names and the
            order of Oracle-MNIST.

    Returns:
        The classes. A folder name that is a single non-ASCII character is also the glyph.

    Raises:
        DataError: If there are fewer than two classes or more than :data:`MAX_CLASSES`, or if
            ``naming`` is "oracle-mnist" but the folders are not Oracle-MNIST's classes.
    """
    folders = tuple(sorted({scan.folder for scan in layout.scans}, key=natural))
    if naming == "oracle-mnist":
        return _as_oracle_mnist(folders)
    if len(folders) < 2:
        present = f"only '{folders[0]}'" if folders else "none"
        raise DataError(
            f"at least two class folders with images are required; found {present}\n"
            "SOURCE must contain one folder per class, or train/ and test/ with such folders."
        )
    if len(folders) > MAX_CLASSES:
        raise DataError(f"{len(folders)} class folders; IDX labels support at most {MAX_CLASSES}")
    glyphs = tuple(name if len(name) == 1 and not name.isascii() else "" for name in folders)
    return ClassNames(folders, folders, glyphs)


def looks_like_oracle_mnist(folders: Iterable[str]) -> bool:
    """Return whether the folders have the names of Oracle-MNIST's ten characters.

    Names that are digits do not count, since they are ambiguous.

    Args:
        folders: Names of all class folders.

    Returns:
        True if the folders have exactly these ten names.
    """
    return set(folders) in (set(CLASSES), set(GLYPHS))


class Shares(NamedTuple):
    """Percentages of the images to assign to validation and test by hash."""

    validation: int
    test: int


class StoredImage(NamedTuple):
    """Location of a stored image, SHA-256 of the image, and SHA-256 of its source file."""

    path: Path
    offset: int
    image_sha256: str
    source_sha256: str


class Sample(NamedTuple):
    """An image of the data set: its scan, label, split and storage location."""

    scan: Scan
    label: int
    split: SplitName
    image: StoredImage


def split_of(image_sha256: str, shares: Shares) -> SplitName:
    """Return the split of an image, which depends only on the image's SHA-256.

    Identical images are always in the same split. An image keeps its split when other images are
    added, and when the percentage of another split changes. With 10% validation, the validation
    images are those of track ``oracle-mnist``: their digest, as a big-endian integer, is divisible
    by ten.

    Args:
        image_sha256: SHA-256 (hex) of the image's bytes, row by row.
        shares: Percentages of validation and test images.

    Returns:
        "train", "validation" or "test".
    """
    tens, ones = divmod(int(image_sha256, 16) % 100, 10)
    rank = 10 * ones + tens
    if rank < shares.validation:
        return "validation"
    return "test" if rank >= 100 - shares.test else "train"


def assign_splits(
    layout: Layout, classes: ClassNames, shares: Shares, stored: Mapping[str, StoredImage]
) -> list[Sample]:
    """Assign a label and a split to every preprocessed image.

    Scans in validation and test folders keep this split; :func:`split_of` splits the others.

    Args:
        layout: The scans.
        classes: Classes in label order.
        shares: Percentages of validation and test images.
        stored: The stored images, keyed by the key of their source file.

    Returns:
        The images by label, and in natural order of their paths within a label.

    Raises:
        DataError: If a class has no training image, or a requested split has no image.
    """
    labels = {folder: label for label, folder in enumerate(classes.folders)}
    samples = []
    for scan in layout.scans:
        image = stored.get(scan.file.key)
        if image is not None:
            fixed = scan.split if scan.split in ("validation", "test") else None
            split = fixed or split_of(image.image_sha256, shares)
            samples.append(Sample(scan, labels[scan.folder], split, image))
    samples.sort(key=lambda one: (one.label, natural(one.scan.path)))
    _check(layout, classes, shares, samples)
    return samples


def _check(layout: Layout, classes: ClassNames, shares: Shares, samples: Sequence[Sample]) -> None:
    images = Counter((sample.label, sample.split) for sample in samples)
    files = Counter(scan.folder for scan in layout.scans)
    for label, (folder, name) in enumerate(zip(classes.folders, classes.names, strict=True)):
        if not images[label, "train"]:
            held_out = images[label, "validation"] + images[label, "test"]
            raise DataError(
                f"class '{name}' has no training images: {files[folder] - held_out} files were "
                f"rejected, {held_out} assigned to validation and test"
            )
    for split, percent in (("validation", shares.validation), ("test", shares.test)):
        if (percent or split in layout.splits) and all(one.split != split for one in samples):
            if split in layout.splits:
                raise DataError(f"no usable images in the {split} folder")
            raise DataError(
                f"no images were assigned to {split} ({percent}%)\n"
                f"Add images, or increase --{split}."
            )


def _as_oracle_mnist(folders: tuple[str, ...]) -> ClassNames:
    for known in (tuple("0123456789"), CLASSES, GLYPHS):
        if set(folders) == set(known):
            return ClassNames(known, CLASSES, GLYPHS)
    raise DataError(
        "the class folders are not Oracle-MNIST's: expected 0 to 9, or big, sun, ..., or 大, 日, "
        "...\nOmit --classes to name the classes after the folders."
    )


def _prefix(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the nested outer folders that contain all classes and have subfolders."""
    prefix: tuple[str, ...] = ()
    while True:
        inner = [below for path in paths if len(below := _below(path, prefix)) > 1]
        first = {path[0] for path in inner}
        if len(first) != 1 or all(len(path) == 2 for path in inner):
            return prefix
        prefix = (*prefix, *first)


def _below(path: tuple[str, ...], prefix: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``path`` relative to ``prefix``; empty if it is not below it."""
    return path[len(prefix) :] if path[: len(prefix)] == prefix else ()


def _split_folders(paths: Iterable[tuple[str, ...]]) -> dict[str, SplitName]:
    """Return the folders that are named after splits; empty if there are none."""
    splits: dict[str, SplitName] = {}
    for path in paths:
        split = _WORDS.get(path[0].lower()) if len(path) > 1 else None
        if split is not None:
            if len(path) == 2:  # it directly contains an image, so it is a class
                return {}
            splits[path[0]] = split
    return splits if "train" in splits.values() and len(set(splits.values())) > 1 else {}
