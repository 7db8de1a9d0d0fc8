"""Generated characters as a folder of IDX files, for track ``idx`` and for other programs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tomli_w

from oraclezoo.data import folder
from oraclezoo.data.atomic import alone
from oraclezoo.data.glyphs.draw import VERSION, generate
from oraclezoo.data.glyphs.strokes import Character
from oraclezoo.data.glyphs.written import digest
from oraclezoo.data.idx import write_idx
from oraclezoo.errors import DataError

RECORD = "glyphs.json"
"""What the images were made of, beside them."""

_ROLES = {"train": "training", "validation": "validation", "test": "test"}


def write_folder(
    out: Path,
    characters: tuple[Character, ...],
    per_class: Mapping[str, int],
    seed: int,
    *,
    flip_keeps_label: bool,
    progress: Callable[[str, int], None] = lambda split, images: None,
) -> dict[str, object]:
    """Generate ``per_class[split]`` images of each class into a new folder; the record of it.

    The splits are train, validation and test, each from a seed of its own. The folder is there
    whole or not at all. ``progress`` is told of each split before it is made, with its number of
    images. Raises DataError if ``out`` holds something already or cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with alone(out, lambda: None):
            if out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise DataError(f"{out} holds something already; give a new folder")
            staged = out.with_name(f".{out.name}.making")
            shutil.rmtree(staged, ignore_errors=True)  # of a process that was killed
            staged.mkdir()
            try:
                record = _fill(staged, characters, per_class, seed, flip_keeps_label, progress)
                if out.exists():
                    out.rmdir()
                staged.rename(out)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error})") from error
    return record


def _fill(
    staged: Path,
    characters: tuple[Character, ...],
    per_class: Mapping[str, int],
    seed: int,
    flip_keeps_label: bool,
    progress: Callable[[str, int], None],
) -> dict[str, object]:
    names = {**folder.FILES, **folder.VALIDATION}
    digests = {}
    for number, (split, role) in enumerate(_ROLES.items()):
        count = per_class[split]
        progress(split, count * len(characters))
        images, labels = generate([count] * len(characters), _seed(seed, number), characters)
        for what, array in (("images", images), ("labels", labels.astype(np.uint8))):
            path = staged / f"{names[f'{role} {what}']}.gz"
            write_idx(path, array)
            digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    record: dict[str, object] = {
        "generator": VERSION,
        "seed": seed,
        "characters_sha256": digest(characters),
        "per_class": dict(per_class),
        "classes": [each.name for each in characters],
        "files": digests,
    }
    about: dict[str, object] = {"classes": [each.name for each in characters]}
    if any(each.glyph for each in characters):
        about["glyphs"] = [each.glyph for each in characters]
    about |= {"flip_keeps_label": flip_keeps_label, "synthetic": True}
    (staged / folder.ABOUT).write_text(tomli_w.dumps(about), encoding="utf-8")
    (staged / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def _seed(seed: int, part: int) -> int:
    """A seed for one part: no two pairs share one."""
    return 3 * seed + part
