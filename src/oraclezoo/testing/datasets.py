"""What a data set is held to: its three parts, and what it says of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from oraclezoo.errors import DataError
from oraclezoo.testing.subject import Subject, broken, listed, skip

SPLITS = ("train", "validation", "test")
LARGE = 5000
"""Images; reading or making more may take more than ten seconds."""
SHARED = 0.01
"""Part of a split whose images may occur in another one: real collections hold some copies."""


def splits(subject: Subject) -> str:
    """Train, validation and test: images uint8 (N, H, W), square, of one size; labels int64 (N,).

    None is empty; each class has training images; labels are numbers of classes.
    """
    dataset, sizes, counts = _opened(subject), set(), []
    for name in SPLITS:
        part = dataset.split(name)
        images, labels = part.images, part.labels
        if images.dtype != np.uint8 or len(images.shape) != 3:
            broken(f"{name} images are {images.dtype} {images.shape}, not uint8 (N, H, W)")
        if labels.dtype != np.int64 or labels.shape != (len(images),):
            broken(f"{name} labels are {labels.dtype} {labels.shape}, not int64 ({len(images)},)")
        if not len(images):
            broken(f"{name} has no images")
        if labels.min() < 0 or labels.max() >= len(dataset.classes):
            broken(f"{name} labels go from {labels.min()} to {labels.max()}")
        sizes.add(tuple(images.shape[1:]))
        counts.append(len(images))
    if len(sizes) > 1 or len({*next(iter(sizes))}) > 1:
        broken(f"images are {', '.join(f'{h} x {w}' for h, w in sorted(sizes))}: one square size")
    absent = set(range(len(dataset.classes))) - set(
        np.unique(dataset.split("train").labels).tolist()
    )
    if absent:
        broken(f"no training image has label {listed([str(label) for label in sorted(absent)])}")
    return " / ".join(f"{count:,}" for count in counts)


def complete(subject: Subject) -> None:
    """The numbers of images that its facts declare are there."""
    declared = {name: subject.facts.get(name) for name in SPLITS}
    told = {name: count for name, count in declared.items() if isinstance(count, int)}
    if not told:
        skip("its facts declare no numbers of images")
    dataset = _opened(subject)
    for name, count in told.items():
        found = len(dataset.split(name).images)
        if found != count:
            broken(f"{name} has {found:,} images; {count:,} are declared")


def disjoint(subject: Subject) -> str:
    """No image is in two splits; up to one in a hundred may be a copy in the data itself."""
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
                broken(f"{shared} images are in {first} and in {second}")
            if shared:
                remarks.append(f"{shared} in {first} and {second}")
    return "copies: " + ", ".join(remarks) if remarks else ""


def repeatable(subject: Subject) -> None:
    """Opened again, it has the same images and labels in the same order."""
    first, again = _opened(subject), subject.create(data_dir=subject.data_dir)
    for name in SPLITS:
        one, other = first.split(name), again.split(name)
        if not np.array_equal(one.labels, other.labels):
            broken(f"opened again, the {name} labels are others")
        if not np.array_equal(np.asarray(one.images), np.asarray(other.images)):
            broken(f"opened again, the {name} images are others")


def access(subject: Subject) -> None:
    """Images are read by a number, a slice, and an array of numbers in any order."""
    for name in SPLITS:
        images = _opened(subject).split(name).images
        whole = np.asarray(images)
        order = np.arange(len(whole) - 1, -1, -2, dtype=np.int64)
        for what, key in (("a number", -1), ("a slice", slice(1, 4)), ("an array", order)):
            if not np.array_equal(np.asarray(images[key]), whole[key]):
                broken(f"{name} images read by {what} are others")
        if sum(1 for _ in images) != len(whole):
            broken(f"{name} images gone through one by one are not {len(whole)}")


def description(subject: Subject) -> None:
    """Classes, characters, flags and digests are there and of their type, true to the facts."""
    dataset = _opened(subject)
    for name in SPLITS:
        dataset.split(name)
    classes, glyphs = tuple(dataset.classes), tuple(dataset.glyphs)
    if len(classes) < 2 or len(set(classes)) != len(classes):
        broken(f"classes are {classes}: two at least, and each has a name of its own")
    if len(glyphs) != len(classes) or not all(isinstance(g, str) for g in (*classes, *glyphs)):
        broken(f"there are {len(glyphs)} glyphs for {len(classes)} classes; each is text, or ''")
    for flag in ("flip_keeps_label", "synthetic"):
        if not isinstance(getattr(dataset, flag), bool):
            broken(f"{flag} is {getattr(dataset, flag)!r}, not true or false")
    fixed = subject.facts.get("train") is not None  # else the user's folder decides
    if fixed and subject.facts.get("synthetic", dataset.synthetic) != dataset.synthetic:
        broken(f"it says synthetic = {dataset.synthetic}, and its facts say otherwise")
    digests = dataset.sha256
    if not isinstance(digests, Mapping) or not digests:
        broken("sha256 is empty after all parts are read: results name data by it")
    wrong = [name for name, digest in digests.items() if not _is_sha256(digest)]
    if wrong:
        broken(f"sha256 of {listed(wrong)} is not 64 hexadecimal digits")


CHECKS = (splits, complete, disjoint, repeatable, access, description)
SLOW: tuple[object, ...] = ()


def is_large(facts: Mapping[str, Any]) -> bool:
    """Whether the facts declare more images than are looked at in seconds, or do not say."""
    counts = [facts.get(name) for name in SPLITS]
    return any(not isinstance(count, int) for count in counts) or sum(counts) > LARGE  # type: ignore[arg-type]  # all are numbers


def _opened(subject: Subject) -> Any:
    if "closed" in subject.kept:  # not asked for again: it may have waited for a server
        skip(subject.kept["closed"])
    try:
        return subject.dataset
    except DataError as error:
        text = " ".join(str(error).split())
        subject.kept["closed"] = f"the data cannot be had here: {text}"
        skip(subject.kept["closed"])


def _is_sha256(digest: object) -> bool:
    return isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
