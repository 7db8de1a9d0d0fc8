"""Generated characters as data sets: which images, and the cache that keeps them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.dataset import SPLITS, ArrayDataset, ArraySplit
from oraclezoo.data.idx import read_images_labels, write_idx
from oraclezoo.data.locate import cache_folder
from oraclezoo.errors import DataError

_LOG = logging.getLogger(__name__)
_SIZE = 28


@dataclass(frozen=True, slots=True)
class Part:
    """One split to generate: its seed and how many images of each class."""

    seed: int
    counts: tuple[int, ...]


def open_generated(
    parts: Mapping[str, Part], progress: Callable[[str], None] | None
) -> ArrayDataset:
    """The data set of ``parts``, one a split, each generated (or taken from the cache) when read.

    ``sha256["generated"]`` stands for generator, version, seeds and counts of all splits;
    ``sha256["generated train"]`` and so on for the bytes of the splits that were read.
    """
    digests = {"generated": _key(parts)}

    def read(name: str) -> ArraySplit:
        split = _cached(parts[name], progress)
        state = hashlib.sha256(split.images.tobytes())
        state.update(split.labels.astype("<i8").tobytes())
        digests[f"generated {name}"] = state.hexdigest()
        return split

    return ArrayDataset(
        classes=CLASSES,
        glyphs=GLYPHS,
        flip_keeps_label=True,
        synthetic=True,
        sha256=digests,
        readers={name: partial(read, name) for name in SPLITS},
    )


def _key(parts: Mapping[str, Part]) -> str:
    """SHA-256 (hex) of everything that decides the images of ``parts``."""
    from oraclezoo.data import glyphs  # brings scipy: not before an image is needed

    document = {
        "generator": glyphs.__name__,
        "version": glyphs.VERSION,
        "parts": {name: [part.seed, list(part.counts)] for name, part in parts.items()},
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _cached(part: Part, progress: Callable[[str], None] | None) -> ArraySplit:
    from oraclezoo.data import glyphs

    stem = cache_folder() / "generated" / _key({"": part})[:16]
    images_path = stem.with_name(f"{stem.name}-images-idx3-ubyte")
    labels_path = stem.with_name(f"{stem.name}-labels-idx1-ubyte")
    if (kept := _kept(part, images_path, labels_path)) is not None:
        return kept
    if progress is not None:
        progress(f"generating {sum(part.counts):,} characters")
    split = ArraySplit(*glyphs.generate(part.counts, part.seed))
    try:
        images_path.parent.mkdir(parents=True, exist_ok=True)
        write_idx(images_path, split.images)
        write_idx(labels_path, split.labels.astype(np.uint8))
    except (OSError, DataError) as error:  # the cache saves time, nothing else rests on it
        _LOG.info("generated characters are not kept: %s", error)
    return split


def _kept(part: Part, images_path: Path, labels_path: Path) -> ArraySplit | None:
    """What the cache holds for ``part``, or None if that is nothing or not what it should be."""
    if not (images_path.is_file() and labels_path.is_file()):
        return None
    try:
        split = ArraySplit(*read_images_labels(images_path, labels_path, len(part.counts)))
    except DataError as error:
        _LOG.info("generating again: %s", error)
        return None
    counts = np.bincount(split.labels, minlength=len(part.counts))
    if split.images.shape[1:] != (_SIZE, _SIZE) or tuple(counts.tolist()) != part.counts:
        return None
    return split
