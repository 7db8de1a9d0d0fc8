"""Write synthetic characters to a folder of IDX files, for track ``idx`` and other software."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from oraclezoo.data import folder
from oraclezoo.data.glyphs.draw import VERSION, generate
from oraclezoo.data.glyphs.strokes import Character
from oraclezoo.data.glyphs.written import digest
from oraclezoo.data.idx import write_idx
from oraclezoo.errors import DataError
from oraclezoo.storage import alone, write_atomically

RECORD = "glyphs.json"
"""File in the folder that records how the images were generated."""

_ROLES = {"train": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Generation:
    """Record of how a folder was generated, the content of ``glyphs.json``.

    Attributes:
        generator: Version of the generator.
        seed: Random seed.
        characters_sha256: SHA-256 of the stroke definitions.
        per_class: Number of images per class, by split.
        classes: Class names, in label order.
        files: SHA-256 of each file, keyed by name.
    """

    generator: str
    seed: int
    characters_sha256: str
    per_class: Mapping[str, int]
    classes: tuple[str, ...]
    files: Mapping[str, str]

    def to_json_dict(self) -> dict[str, Any]:
        """Return the record as a JSON document."""
        return {**dataclasses.asdict(self), "classes": list(self.classes)}


def write_folder(
    out: Path,
    characters: tuple[Character, ...],
    per_class: Mapping[str, int],
    seed: int,
    *,
    flip_keeps_label: bool,
    progress: Callable[[str, int], None] = lambda split, images: None,
    on_images: Callable[[int], None] = lambda images: None,
) -> Generation:
    """Generate images of characters and write them to a new folder.

    The folder is created atomically.

    Args:
        out: The folder, which must be empty or must not exist.
        characters: The classes, in label order.
        per_class: Number of images per class, by split: train, validation and test.
        seed: Random seed, from which a separate seed is derived for each split.
        flip_keeps_label: Whether a mirrored character has the same class.
        progress: Called with name and number of images of a split before it is generated.
        on_images: Called with the number of finished images of all splits.

    Returns:
        The record that was written to ``glyphs.json``.

    Raises:
        DataError: If ``out`` is not empty or cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with alone(out, lambda: None):
            if out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise DataError(f"{out} is not empty; choose a new folder")
            staged = out.with_name(f".{out.name}.making")
            shutil.rmtree(staged, ignore_errors=True)  # left by a killed process
            staged.mkdir()
            try:
                files = _write_splits(staged, characters, per_class, seed, progress, on_images)
                about = _about(characters, flip_keeps_label)
                write_atomically(staged / folder.ABOUT, about.encode())
                names = tuple(each.name for each in characters)
                record = Generation(
                    VERSION, seed, digest(characters), dict(per_class), names, files
                )
                text = json.dumps(record.to_json_dict(), indent=2) + "\n"
                write_atomically(staged / RECORD, text.encode())
                if out.exists():
                    out.rmdir()
                staged.rename(out)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error})") from error
    return record


def _write_splits(
    staged: Path,
    characters: tuple[Character, ...],
    per_class: Mapping[str, int],
    seed: int,
    progress: Callable[[str, int], None],
    on_images: Callable[[int], None],
) -> dict[str, str]:
    """Generate and write the splits; return the SHA-256 of each file."""
    names = {**folder.FILES, **folder.VALIDATION}
    digests, finished = {}, 0
    for number, (split, role) in enumerate(_ROLES.items()):
        count = per_class[split]
        progress(split, count * len(characters))
        images, labels = generate(
            [count] * len(characters),
            3 * seed + number,
            characters,
            partial(_add, on_images, finished),
        )
        finished += len(labels)
        for content, array in (("images", images), ("labels", labels.astype(np.uint8))):
            path = staged / f"{names[f'{role} {content}']}.gz"
            write_idx(path, array)
            digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digests


def _add(on_images: Callable[[int], None], earlier: int, images: int) -> None:
    on_images(earlier + images)


def _about(characters: tuple[Character, ...], flip_keeps_label: bool) -> str:
    """Return the content of ``dataset.toml``."""
    classes = {"classes": [each.name for each in characters]}
    if any(each.glyph for each in characters):
        classes["glyphs"] = [each.glyph for each in characters]
    flags = {"flip_keeps_label": flip_keeps_label, "synthetic": True}
    return tomli_w.dumps({**classes, **flags})
