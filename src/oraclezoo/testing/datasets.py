"""Conformance checks for data sets: splits and metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from oraclezoo.errors import DataError
from oraclezoo.testing.subject import Subject, fail, listed, skip

SPLITS = ("train", "validation", "test")
LARGE = 5000
"""Number of images above which the checks may take more than ten seconds."""
SHARED = 0.01
"""Maximum fraction of images that two splits may share; real data sets contain some duplicates."""


def splits(subject: Subject) -> str:
    """Each split has square uint8 images (N, H, W) of one size and int64 labels (N,).

    No split is empty, each class has training images, and labels are class indices.
    """
    dataset, sizes, counts = _opened(subject), set(), []
    for name in SPLITS:
        part = dataset.split(name)
        images, labels = part.images, part.labels
        if images.dtype != np.uint8 or len(images.shape) != 3:
            fail(f"{name} images are {images.dtype} {images.shape}, not uint8 (N, H, W)")
        if labels.dtype != np.int64 or labels.shape != (len(images),):
            fail(f"{name} labels are {labels.dtype} {labels.shape}, not int64 ({len(images)},)")
        if not len(images):
            fail(f"{name} has no images")
        if labels.min() < 0 or labels.max() >= len(dataset.classes):
            fail(f"{name} labels range from {labels.min()} to {labels.max()}")
        sizes.add(tuple(images.shape[1:]))
        counts.append(len(images))
    if len(sizes) > 1 or len({*next(iter(sizes))}) > 1:
        fail(f"images are {', '.join(f'{h} x {w}' for h, w in sorted(sizes))}; use one square size")
    absent = set(range(len(dataset.classes))) - set(
        np.unique(dataset.split("train").labels).tolist()
    )
    if absent:
        fail(f"no training image has label {listed([str(label) for label in sorted(absent)])}")
    return " / ".join(f"{count:,}" for count in counts)


def complete(subject: Subject) -> None:
    """The splits have the declared numbers of images."""
    declared = {name: subject.facts.get(name) for name in SPLITS}
    counts = {name: count for name, count in declared.items() if isinstance(count, int)}
    if not counts:
        skip("its spec declares no image counts")
    dataset = _opened(subject)
    for name, count in counts.items():
        actual = len(dataset.split(name).images)
        if actual != count:
            fail(f"{name} has {actual:,} images, but {count:,} are declared")


def disjoint(subject: Subject) -> str:
    """Splits are disjoint, except for up to one percent duplicates."""
    dataset = _opened(subject)
    digests = {}
    for name in SPLITS:
        images = dataset.split(name).images
        digests[name] = {hashlib.sha256(np.asarray(image).tobytes()).digest() for image in images}
    remarks = []
    for index, first in enumerate(SPLITS):
        for second in SPLITS[index + 1 :]:
            shared = len(digests[first] & digests[second])
            smaller = min(len(digests[first]), len(digests[second]))
            if shared > SHARED * smaller:
                fail(f"{shared} images are in both {first} and {second}")
            if shared:
                remarks.append(f"{shared} in {first} and {second}")
    return "duplicates: " + ", ".join(remarks) if remarks else ""


def repeatable(subject: Subject) -> None:
    """A second instance has the same images and labels in the same order."""
    first, second = _opened(subject), subject.create(data_dir=subject.data_dir)
    for name in SPLITS:
        one, other = first.split(name), second.split(name)
        if not np.array_equal(one.labels, other.labels):
            fail(f"a second instance has different {name} labels")
        if not np.array_equal(np.asarray(one.images), np.asarray(other.images)):
            fail(f"a second instance has different {name} images")


def access(subject: Subject) -> None:
    """Images support indexing by an integer, a slice and an index array."""
    for name in SPLITS:
        images = _opened(subject).split(name).images
        array = np.asarray(images)
        order = np.arange(len(array) - 1, -1, -2, dtype=np.int64)
        for index, key in (("an integer", -1), ("a slice", slice(1, 4)), ("an array", order)):
            if not np.array_equal(np.asarray(images[key]), array[key]):
                fail(f"{name} images indexed by {index} are wrong")
        if sum(1 for _ in images) != len(array):
            fail(f"iterating over the {name} images does not yield {len(array)} images")


def description(subject: Subject) -> None:
    """Classes, glyphs, flags and digests are valid and agree with the metadata."""
    dataset = _opened(subject)
    for name in SPLITS:
        dataset.split(name)
    classes, glyphs = tuple(dataset.classes), tuple(dataset.glyphs)
    if len(classes) < 2 or len(set(classes)) != len(classes):
        fail(f"classes are {classes}; at least two, with different names, are required")
    if len(glyphs) != len(classes) or not all(isinstance(g, str) for g in (*classes, *glyphs)):
        fail(f"there are {len(glyphs)} glyphs for {len(classes)} classes; each must be a string")
    for flag in ("flip_keeps_label", "synthetic"):
        if not isinstance(getattr(dataset, flag), bool):
            fail(f"{flag} is {getattr(dataset, flag)!r}, not a bool")
    fixed = subject.facts.get("train") is not None  # else it depends on the user's folder
    if fixed and subject.facts.get("synthetic", dataset.synthetic) != dataset.synthetic:
        fail(f"its attribute synthetic is {dataset.synthetic}, which contradicts its spec")
    digests = dataset.sha256
    if not isinstance(digests, Mapping) or not digests:
        fail("sha256 is empty after all splits are read; results identify data by it")
    wrong = [name for name, digest in digests.items() if not _is_sha256(digest)]
    if wrong:
        fail(f"sha256 of {listed(wrong)} is not 64 lowercase hex digits")


CHECKS = (splits, complete, disjoint, repeatable, access, description)
SLOW: tuple[object, ...] = ()


def is_large(facts: Mapping[str, Any]) -> bool:
    """Return whether the declared number of images is large or unknown."""
    counts = [facts.get(name) for name in SPLITS]
    return any(not isinstance(count, int) for count in counts) or sum(counts) > LARGE  # type: ignore[arg-type]  # all are numbers


def _opened(subject: Subject) -> Any:
    if "closed" in subject.kept:  # do not retry: a download may have timed out
        skip(subject.kept["closed"])
    try:
        return subject.dataset
    except DataError as error:
        text = " ".join(str(error).split())
        subject.kept["closed"] = f"the data is not available: {text}"
        skip(subject.kept["closed"])


def _is_sha256(digest: object) -> bool:
    return isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
