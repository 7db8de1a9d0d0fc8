"""Folders of IDX files: the role of each file, and the content of ``dataset.toml``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.data.known import KNOWN
from oraclezoo.documents import read_toml
from oraclezoo.errors import DataError, nearest
from oraclezoo.result.own_track import NAME

FILES = {
    "training images": "train-images-idx3-ubyte",
    "training labels": "train-labels-idx1-ubyte",
    "test images": "t10k-images-idx3-ubyte",
    "test labels": "t10k-labels-idx1-ubyte",
}
"""MNIST's file name for each role; names may end with .gz."""

VALIDATION = {
    "validation images": "validation-images-idx3-ubyte",
    "validation labels": "validation-labels-idx1-ubyte",
}
"""Optional files for each role, recognized by these names only; both must exist, or neither."""

_WORDS = {
    "training": {"train", "training"},
    "test": {"test", "t10k"},
    "images": {"images", "image", "imgs"},
    "labels": {"labels", "label"},
}

ABOUT = "dataset.toml"


@dataclass(frozen=True, slots=True)
class About:
    """The content of ``dataset.toml``; None or empty for missing keys.

    Attributes:
        classes: Class names.
        glyphs: The modern character of each class.
        flip_keeps_label: Whether a mirrored image has the same label.
        synthetic: Whether the images are synthetic.
        name: Name of the data set, which makes it a separate track.
        source: Public source of the files: a URL or a citation.
        sha256: SHA-256 (hex) of each file, keyed by file name, for all files or none.
    """

    classes: tuple[str, ...] | None = None
    glyphs: tuple[str, ...] | None = None
    flip_keeps_label: bool = False
    synthetic: bool = False
    name: str = ""
    source: str = ""
    sha256: Mapping[str, str] | None = None


def discover(folder: Path) -> dict[str, Path]:
    """Find the file for each role, by MNIST's file name or by the words in its name.

    Args:
        folder: The folder.

    Returns:
        Path for each key of :data:`FILES`, and for each of :data:`VALIDATION` if those files exist.

    Raises:
        DataError: If a file is missing or ambiguous.
    """
    try:
        present = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise DataError(f"data folder {folder}: {error.strerror or error}") from error
    # hidden files are locks or incomplete downloads
    present = [path for path in present if not path.name.startswith(".")]
    files: dict[str, Path] = {}
    for role, name in FILES.items():
        usual = [path for path in present if path.name in (name, f"{name}.gz")]
        fitting = usual or [path for path in present if _fits(path.name, role)]
        if not fitting:
            raise DataError(f"{folder}: no file with the {role}; expected {name} or {name}.gz")
        if len(fitting) > 1:
            listed = ", ".join(path.name for path in fitting)
            raise DataError(
                f"{folder}: several files match the {role}: {listed}; keep only one of them"
            )
        files[role] = fitting[0]
    return files | _validation(folder, present)


def _validation(folder: Path, present: list[Path]) -> dict[str, Path]:
    """Return the files of :data:`VALIDATION`, or an empty dictionary."""
    candidates = {
        role: [path for path in present if path.name in (name, f"{name}.gz")]
        for role, name in VALIDATION.items()
    }
    counts = {len(paths) for paths in candidates.values()}
    if counts == {0}:
        return {}
    if counts != {1}:
        listed = ", ".join(path.name for paths in candidates.values() for path in paths)
        raise DataError(
            f"{folder}: {listed}: validation requires one image file and one label file, or neither"
        )
    return {role: paths[0] for role, paths in candidates.items()}


def _fits(name: str, role: str) -> bool:
    """Return whether a file name contains "idx" and both words of the role."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    is_idx = "ubyte" in words or any(word.startswith("idx") for word in words)
    return is_idx and all(words & _WORDS[part] for part in role.split())


def read_about(folder: Path) -> About:
    """Read ``dataset.toml`` in a folder.

    Args:
        folder: The folder.

    Returns:
        Its content; defaults if there is no such file.

    Raises:
        DataError: If the file cannot be read or is invalid.
    """
    path = folder / ABOUT
    if not path.exists():
        return About()
    try:
        document = read_toml(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error
    known = tuple(field.name for field in dataclasses.fields(About))
    for key in document:
        if key not in known:
            raise DataError(f"{path}: unknown key '{key}'{nearest(key, known)}")
    flags = {key: document.get(key, False) for key in ("flip_keeps_label", "synthetic")}
    for key, flag in flags.items():
        if not isinstance(flag, bool):
            raise DataError(f"{path}: '{key}' must be true or false")
    classes, glyphs = _texts(path, document, "classes"), _texts(path, document, "glyphs")
    if classes is not None and (len(set(classes)) < len(classes) or "" in classes):
        raise DataError(f"{path}: 'classes' must be unique, non-empty names")
    return About(classes, glyphs, **flags, **_identity(path, document))


def _identity(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Return the name, the source and the digests of a data set."""
    name, source, sha256 = (document.get(key) for key in ("name", "source", "sha256"))
    if name is not None and (not isinstance(name, str) or not NAME.fullmatch(name)):
        raise DataError(
            f"{path}: 'name' must be lower-case letters, digits, '.', '_' and '-', as yi-script"
        )
    if name in KNOWN or name == "idx":
        raise DataError(f"{path}: '{name}' is a built-in track; give the data a different name")
    if source is not None and not isinstance(source, str):
        raise DataError(f"{path}: 'source' must be a string, a URL or a citation")
    if sha256 is not None and (
        not isinstance(sha256, dict) or not all(isinstance(text, str) for text in sha256.values())
    ):
        raise DataError(f"{path}: 'sha256' must be a table of digests by file name")
    return {"name": name or "", "source": source or "", "sha256": sha256}


def _texts(path: Path, document: dict[str, Any], key: str) -> tuple[str, ...] | None:
    if key not in document:
        return None
    value = document[key]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{path}: '{key}' must be a list of strings, one per class")
    return tuple(value)
