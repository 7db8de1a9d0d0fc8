"""Data sets of synthetic characters, with a cache on disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from oraclezoo.data.dataset import SPLITS, ArrayDataset, ArraySplit, oracle_dataset
from oraclezoo.data.idx import write_idx
from oraclezoo.data.image_files import read_images_labels
from oraclezoo.data.locate import cache_folder
from oraclezoo.data.upstream import digest
from oraclezoo.errors import DataError
from oraclezoo.storage import alone, replacing

_LOG = logging.getLogger(__name__)
_SIZE = 28


@dataclass(frozen=True, slots=True)
class Part:
    """Random seed of a split, and number of images per class to generate."""

    seed: int
    counts: tuple[int, ...]


def open_generated(
    parts: Mapping[str, Part], progress: Callable[[str], None] | None
) -> ArrayDataset:
    """Return a data set of synthetic characters.

    Each split is generated, or read from the cache, on first use.

    Args:
        parts: Seed and image counts of each split, keyed by split name.
        progress: Called with progress messages.

    Returns:
        The data set. ``sha256["generated"]`` identifies the generator, its version, and the seeds
        and counts of all splits; ``sha256["generated train"]`` etc. are the digests of the splits
        that were read.
    """
    digests = {"generated": _key(parts)}

    def read(name: str) -> ArraySplit:
        split = _cached(parts[name], progress)
        digests[f"generated {name}"] = split_sha256(split)
        return split

    return oracle_dataset(
        synthetic=True,
        sha256=digests,
        readers={name: partial(read, name) for name in SPLITS},
    )


def split_sha256(split: ArraySplit) -> str:
    """Compute the digest of a split.

    Args:
        split: The split.

    Returns:
        SHA-256 (hex) of the image bytes, followed by the labels as little-endian int64.
    """
    state = hashlib.sha256(split.images.tobytes())
    state.update(split.labels.astype("<i8").tobytes())
    return state.hexdigest()


def _key(parts: Mapping[str, Part]) -> str:
    """Return the SHA-256 (hex) of all inputs that determine the images of ``parts``."""
    from oraclezoo.data import glyphs  # imports SciPy, so imported only when needed

    document = {
        "generator": "oraclezoo.data.glyphs",  # this name is part of published digests
        "version": glyphs.VERSION,
        "parts": {name: [part.seed, list(part.counts)] for name, part in parts.items()},
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _cached(part: Part, progress: Callable[[str], None] | None) -> ArraySplit:
    from oraclezoo.data import glyphs

    say = progress or (lambda text: None)
    cache = _Cache.of(part)
    if (kept := cache.read()) is not None:
        return kept
    with ExitStack() as stack:
        try:
            cache.seal.parent.mkdir(parents=True, exist_ok=True)
            waiting = partial(say, "waiting for another process to generate these characters")
            stack.enter_context(alone(cache.seal, waiting))
        except OSError as error:  # the cache is optional
            _LOG.info("cannot lock the cache of generated characters: %s", error)
        else:
            if (kept := cache.read()) is not None:
                return kept
        say(f"generating {sum(part.counts):,} characters")
        split = ArraySplit(*glyphs.generate(part.counts, part.seed))
        try:
            cache.write(split)
        except (OSError, DataError) as error:
            _LOG.info("cannot cache the generated characters: %s", error)
    return split


@dataclass(frozen=True, slots=True)
class _Cache:
    """Cached files of a split: two IDX files, and a seal file with their SHA-256, written last.

    Files that do not match the seal are ignored. Without the seal, a process killed between two
    files, or two concurrent processes, could pair images with the wrong labels.
    """

    part: Part
    images: Path
    labels: Path
    seal: Path

    @classmethod
    def of(cls, part: Part) -> Self:
        folder, stem = cache_folder() / "generated", _key({"": part})[:16]
        return cls(
            part,
            folder / f"{stem}-images-idx3-ubyte",
            folder / f"{stem}-labels-idx1-ubyte",
            folder / f"{stem}.json",
        )

    def digests(self) -> dict[str, str]:
        return {path.name: digest(path) for path in (self.images, self.labels)}

    def read(self) -> ArraySplit | None:
        """Return the cached split, or None if it is missing or does not match the seal."""
        try:
            if json.loads(self.seal.read_bytes()) != self.digests():
                _LOG.info("regenerating: the cached files do not match %s", self.seal)
                return None
            split = ArraySplit(*read_images_labels(self.images, self.labels, len(self.part.counts)))
        except (OSError, ValueError, RecursionError, DataError) as error:
            _LOG.info("generating: %s", error)
            return None
        counts = np.bincount(split.labels, minlength=len(self.part.counts))
        fits = tuple(counts.tolist()) == self.part.counts
        return split if fits and split.images.shape[1:] == (_SIZE, _SIZE) else None

    def write(self, split: ArraySplit) -> None:
        """Write a split to the cache. Raises OSError, DataError."""
        write_idx(self.images, split.images)
        write_idx(self.labels, split.labels.astype(np.uint8))
        with replacing(self.seal) as file:
            file.write(json.dumps(self.digests()).encode())
