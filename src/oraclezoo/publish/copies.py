"""Check for copied predictions, between the seeds of a result and from other results.

Two training runs give equal float16 probabilities for an image only if the model is so confident
that almost all classes round to 0. Copies are therefore detected on images where the model is less
confident, even if some of the predictions were changed. On an easy data set, every probability may
round to 0 or 1 for every image; equal predictions of this kind are no evidence of a copy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.errors import OracleZooError, ResultError
from oraclezoo.plugins.registry import Registry
from oraclezoo.publish.claim import Claim, Unchecked
from oraclezoo.ranking.load import Entry, entry_of, published_folder
from oraclezoo.ranking.predictions import Predictions
from oraclezoo.recipe.sections import COMPONENTS
from oraclezoo.result import Result

CERTAIN = 0.99
"""Maximum class probability above which equal probabilities are no evidence of a copy.
"""

SHARE = 0.5
"""Fraction of uncertain images with equal probabilities above which predictions count as copied.
For the seeds of every published result, this fraction is 0.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """Data for comparing predictions: a hash for each seed and image, and whether it counts.

    ``rounded`` is True for a seed if each of its images has a probability that rounds to 1.
    """

    hashes: npt.NDArray[np.uint64]
    uncertain: npt.NDArray[np.bool_]
    rounded: npt.NDArray[np.bool_]
    labels: str


def copies(claim: Claim) -> Iterator[str]:
    """Yield pairs of seeds with equal predictions, and results of other recipes that match."""
    try:
        own = fingerprint(claim.predictions)
    except ResultError:
        yield Unchecked("the predictions cannot be read")
        return
    seeds = [score.seed for score in claim.result.seeds]
    for first in range(len(seeds)):
        rest = slice(first + 1, None)
        for offset in np.flatnonzero(_equal(own, first, own, rest)):
            other = seeds[first + 1 + int(offset)]
            yield f"seeds {seeds[first]} and {other} have equal predictions"
    if own.rounded.sum() > 1:
        yield Unchecked(
            f"{own.rounded.sum()} seeds predict each image with a probability that rounds to 1; "
            "independent runs may be equal"
        )
    for other_result, other_predictions in _others(claim):
        if other_predictions.labels != own.labels:
            continue
        for position, seed in enumerate(seeds):
            same = np.flatnonzero(_equal(own, position, other_predictions, slice(None)))
            if same.size:
                number = other_result.seeds[int(same[0])].seed
                yield f"seed {seed} has the predictions of seed {number} of {other_result.id}"
                break


def fingerprint(predictions: Predictions) -> Fingerprint:
    """Return the fingerprint of stored predictions."""
    probabilities = np.ascontiguousarray(predictions.probabilities)
    bits = probabilities.view(np.uint16)
    generator = np.random.default_rng(0)
    factors: npt.NDArray[np.uint64] = generator.integers(
        1, 2**63, size=(bits.shape[2],), dtype=np.uint64
    )
    hashes = np.zeros(bits.shape[:2], np.uint64)
    for label, factor in enumerate(factors):  # one class at a time, to save memory
        hashes += (bits[..., label].astype(np.uint64) + np.uint64(1)) * factor
    labels = hashlib.sha256(predictions.labels.astype("<i8").tobytes()).hexdigest()
    largest = probabilities.max(axis=2)
    return Fingerprint(hashes, largest < CERTAIN, (largest == 1).all(axis=1), labels)


def _equal(a: Fingerprint, position: int, b: Fingerprint, which: slice) -> npt.NDArray[np.bool_]:
    """Return which seeds of ``b`` have the same predictions as one seed of ``a``."""
    equal = b.hashes[which] == a.hashes[position]
    counted = b.uncertain[which] | a.uncertain[position]
    shared = (equal & counted).sum(axis=1)
    identical = equal.all(axis=1) & ~b.rounded[which]
    copied: npt.NDArray[np.bool_] = identical | (shared > SHARE * counted.sum(axis=1))
    return copied


def _others(claim: Claim) -> Iterator[tuple[Result, Fingerprint]]:
    """Yield results of other recipes from which this result could have been copied.

    These are the published results, and results in the same folder that are not newer. A published
    result is compared only with other published results.
    """
    result, registry = claim.result, claim.registry
    published = _published(claim.path)
    training = _training(result, registry)
    for path, is_published in _candidates(claim.path):
        loaded = _known(path, path.stat().st_mtime_ns, path.stat().st_size)
        if loaded is None or loaded[0].recipe.hash == result.recipe.hash:
            continue
        other, predictions = loaded
        trusted = is_published and not published
        if not trusted and (other.created > result.created or (published and not is_published)):
            continue
        if _training(other, registry) != training:  # one model may have two names: width 1, _s
            yield other, predictions


def _candidates(path: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the other results in the folder of published results and in the file's folder."""
    try:
        public: Path | None = published_folder()
    except ResultError:
        public = None
    folders = {path.parent.resolve(): path.parent.resolve() == public}
    if public is not None:
        folders[public.resolve()] = True
    for folder, is_published in folders.items():
        for file in sorted(folder.glob("*.json")):
            if file.is_file() and file.name != path.name:
                yield file, is_published


def _published(path: Path) -> bool:
    """Return whether a file is an unchanged published result."""
    try:
        original = published_folder() / path.name
        return original.is_file() and original.read_bytes() == path.read_bytes()
    except (ResultError, OSError):
        return False


@lru_cache(maxsize=4096)
def _known(path: Path, changed_ns: int, size_bytes: int) -> tuple[Result, Fingerprint] | None:
    """Return a result and its fingerprint, None if it is broken; cached by the file's state."""
    try:
        entry: Entry = entry_of(Result.load(path))
    except (OracleZooError, ArithmeticError, RecursionError):
        return None
    return None if entry.predictions is None else (entry.result, fingerprint(entry.predictions))


def _training(result: Result, registry: Registry) -> str:
    """Return a key that is equal for recipes that train the same model under different names."""
    content: dict[str, Any] = dict(result.recipe.content)
    for kind in COMPONENTS:
        part: Any = content.get(kind)
        try:
            spec = registry.get(kind, part["name"]).spec
            options = {key: v for key, v in part["options"].items() if v is not None}
            content[kind] = [spec.target, {**spec.decide(options), **spec.fixed}]
        except (OracleZooError, TypeError, KeyError, AttributeError):
            continue  # compared by name instead
    return json.dumps(content, sort_keys=True, default=str)
