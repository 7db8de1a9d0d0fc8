"""Folder layout of a source: the class and the side of each file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.scans.files import ScanFile, Unused, natural
from oraclezoo.errors import DataError

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = ("train", "validation", "test")

Naming = Literal["folders", "oracle-mnist"]
"""Source of the class names."""

MAX_CLASSES = 256
"""Limit of IDX files, whose labels are single bytes."""

_WORDS: dict[str, Side] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


@dataclass(frozen=True, slots=True)
class Scan:
    """An image file and its place in the layout.

    Attributes:
        file: The file.
        path: Its path below the folder in which the layout begins.
        side: Side of its folder; None if a hash decides.
        folder: Name of its class folder.
    """

    file: ScanFile
    path: str
    side: Side | None
    folder: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Scans of a source, in order, the files rejected, and the sides that have folders."""

    scans: tuple[Scan, ...]
    rejected: tuple[Unused, ...]
    sides: frozenset[Side]


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Classes in label order: folder, name and character of each."""

    folders: tuple[str, ...]
    names: tuple[str, ...]
    glyphs: tuple[str, ...]


def arrange(files: Sequence[ScanFile]) -> Layout:
    """Assign a side and a class folder to each file.

    Enclosing folders that contain everything are skipped. If the remaining folders are named train
    and test or validation and contain only folders, those are the classes. Otherwise each folder is
    a class, with everything below it.

    Args:
        files: Files of a source.

    Returns:
        The scans by side, class folder and path, in natural order.
    """
    prefix = _prefix([tuple(file.name.split("/")) for file in files])
    inner = {file: _below(tuple(file.name.split("/")), prefix) for file in files}
    sides = _side_folders(inner.values())
    scans: list[Scan] = []
    rejected: list[Unused] = []
    for file, path in inner.items():
        side = sides.get(path[0]) if path else None
        below = path[1:] if sides else path
        if len(below) < 2 or (sides and side is None):
            rejected.append(Unused(file.name, "not in a class folder"))
        else:
            scans.append(Scan(file, "/".join(path), side, below[0]))
    scans.sort(key=lambda scan: (scan.side or "", natural(scan.folder), natural(scan.path)))
    return Layout(tuple(scans), tuple(rejected), frozenset(sides.values()))


def name_classes(layout: Layout, naming: Naming) -> ClassNames:
    """Return the classes of a layout.

    Args:
        layout: The scans.
        naming: "folders" for folder names in natural order, or "oracle-mnist" for its names and
            order.

    Returns:
        The classes. A folder named by a single non-ASCII character has it as its glyph.

    Raises:
        DataError: If there are fewer than two classes or more than :data:`MAX_CLASSES`, or if the
            folders are not Oracle-MNIST's classes although ``naming`` says so.
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
    """Return whether folders are named after Oracle-MNIST's ten characters.

    Digits as names do not count, since they are ambiguous.

    Args:
        folders: Names of all class folders.

    Returns:
        True if all ten names occur and no others.
    """
    return set(folders) in (set(CLASSES), set(GLYPHS))


def _as_oracle_mnist(folders: tuple[str, ...]) -> ClassNames:
    for known in (tuple("0123456789"), CLASSES, GLYPHS):
        if set(folders) == set(known):
            return ClassNames(known, CLASSES, GLYPHS)
    raise DataError(
        "the class folders are not Oracle-MNIST's: expected 0 to 9, or big, sun, ..., or 大, 日, "
        "...\nOmit --classes to name the classes after the folders."
    )


def _prefix(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the nested folders that contain everything and have folders in them."""
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


def _side_folders(paths: Iterable[tuple[str, ...]]) -> dict[str, Side]:
    """Return the folders named after a side of the data set; empty if there are none."""
    sides: dict[str, Side] = {}
    for path in paths:
        side = _WORDS.get(path[0].lower()) if len(path) > 1 else None
        if side is not None:
            if len(path) == 2:  # an image directly in it: it is a class of that name
                return {}
            sides[path[0]] = side
    return sides if "train" in sides.values() and len(set(sides.values())) > 1 else {}
