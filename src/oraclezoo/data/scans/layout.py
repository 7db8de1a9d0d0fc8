"""Which class and which side of the data set each file belongs to."""

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
"""Where the names of classes come from."""

MAX_CLASSES = 256
"""IDX holds a label in one byte."""

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
    """An image file with its class folder; ``side`` is None where a hash shall decide.

    ``path`` is its name below the folder in which the layout begins.
    """

    file: ScanFile
    path: str
    side: Side | None
    folder: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The scans of a source in order, and the sides that it has folders for."""

    scans: tuple[Scan, ...]
    rejected: tuple[Unused, ...]
    sides: frozenset[Side]


@dataclass(frozen=True, slots=True)
class ClassNames:
    """The classes in label order: the folder of each, its name, its character."""

    folders: tuple[str, ...]
    names: tuple[str, ...]
    glyphs: tuple[str, ...]


def arrange(files: Sequence[ScanFile]) -> Layout:
    """Sort the files of a source by side, class folder and name, numbers by their value.

    Folders that hold everything are passed through. If the others are named train and test or
    validation and hold folders only, those are the classes; else each folder is a class, with all
    that is below it.
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
            rejected.append(Unused(file.name, "it lies in no class folder"))
        else:
            scans.append(Scan(file, "/".join(path), side, below[0]))
    scans.sort(key=lambda scan: (scan.side or "", natural(scan.folder), natural(scan.path)))
    return Layout(tuple(scans), tuple(rejected), frozenset(sides.values()))


def name_classes(layout: Layout, naming: Naming) -> ClassNames:
    """The classes of a layout, by their folders' names in natural order or as Oracle-MNIST's.

    A folder named by one character that is not ASCII has it for its glyph. Raises DataError if
    there are too few or too many, or if they are not Oracle-MNIST's though they should be.
    """
    folders = tuple(sorted({scan.folder for scan in layout.scans}, key=natural))
    if naming == "oracle-mnist":
        return _as_oracle_mnist(folders)
    if len(folders) < 2:
        found = f"only '{folders[0]}'" if folders else "none"
        raise DataError(
            f"two class folders with images are the least; there is {found}\n"
            "SOURCE has a folder for each class, or train/ and test/ with those in them."
        )
    if len(folders) > MAX_CLASSES:
        raise DataError(f"{len(folders)} class folders; IDX labels can tell {MAX_CLASSES} apart")
    glyphs = tuple(name if len(name) == 1 and not name.isascii() else "" for name in folders)
    return ClassNames(folders, folders, glyphs)


def looks_like_oracle_mnist(folders: Iterable[str]) -> bool:
    """Whether folders have the ten characters' names; plain digits could be anything."""
    return set(folders) in (set(CLASSES), set(GLYPHS))


def _as_oracle_mnist(folders: tuple[str, ...]) -> ClassNames:
    for known in (tuple("0123456789"), CLASSES, GLYPHS):
        if set(folders) == set(known):
            return ClassNames(known, CLASSES, GLYPHS)
    raise DataError(
        "the class folders are not Oracle-MNIST's: those are 0 to 9, or big, sun, ..., or 大, 日, "
        "...\nLeave --classes out to name the classes by their folders."
    )


def _prefix(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The folders, one in the other, that hold all there is, and have folders in them."""
    prefix: tuple[str, ...] = ()
    while True:
        inner = [below for path in paths if len(below := _below(path, prefix)) > 1]
        first = {path[0] for path in inner}
        if len(first) != 1 or all(len(path) == 2 for path in inner):
            return prefix
        prefix = (*prefix, *first)


def _below(path: tuple[str, ...], prefix: tuple[str, ...]) -> tuple[str, ...]:
    """``path`` from ``prefix`` on; empty if it is not below it."""
    return path[len(prefix) :] if path[: len(prefix)] == prefix else ()


def _side_folders(paths: Iterable[tuple[str, ...]]) -> dict[str, Side]:
    """Folders that stand for a side of the data set, or none."""
    found: dict[str, Side] = {}
    for path in paths:
        side = _WORDS.get(path[0].lower()) if len(path) > 1 else None
        if side is not None:
            if len(path) == 2:  # an image right in it: a class of that name
                return {}
            found[path[0]] = side
    return found if "train" in found.values() and len(set(found.values())) > 1 else {}
