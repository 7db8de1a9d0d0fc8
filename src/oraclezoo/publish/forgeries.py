"""Check the fields of a result for impossible values and contradictions.

The checks need neither the data nor a training run. Plausible fabricated values pass.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata

from oraclezoo._version import __version__
from oraclezoo.data.corrupt import CORRUPTIONS, VERSION
from oraclezoo.plugins.discovery import normalize
from oraclezoo.publish.arithmetic import times
from oraclezoo.publish.canonical import one_hash
from oraclezoo.publish.claim import Claim, Rule
from oraclezoo.publish.copies import copies
from oraclezoo.publish.sizes import sizes

FIRST_COMMIT = datetime(2026, 11, 23, tzinfo=UTC)
"""Date of oraclezoo's first commit; no result can be older."""

FIRST_VERSION = (0, 1, 0)
"""The first release of oraclezoo."""

LEAST: Mapping[str, tuple[int, ...]] = {"python": (3, 11), "torch": (2, 9), "numpy": (1, 26)}
"""Minimum versions of the first release's dependencies. Do not raise: old results stay valid."""

_VERSION = re.compile(
    r"(?P<release>\d{1,9}(\.\d{1,9}){0,5})((a|b|rc)\d{1,9})?(\.post\d{1,9})?(\.dev\d{1,9})?(\+[\w.-]+)?"
)


def dates_and_versions(claim: Claim) -> Iterator[str]:
    """Yield impossible dates and versions (of oraclezoo, components and libraries)."""
    result = claim.result
    created = datetime.fromisoformat(result.created)
    if created < FIRST_COMMIT:
        yield f"created: {result.created} is before oraclezoo's first commit"
    stated = release(result.oraclezoo)
    if stated is None or stated < FIRST_VERSION:
        yield f"oraclezoo: there is no version '{result.oraclezoo}'"
    elif stated > (release(__version__) or stated):
        yield f"oraclezoo: {result.oraclezoo} is newer than this version, {__version__}: upgrade"
    versions = {"oraclezoo": result.oraclezoo}
    for kind, part in result.components.items():
        known = versions.setdefault(normalize(part.distribution), part.version)
        if part.version != known:
            yield (
                f"components.{kind}: {part.distribution} {part.version}, but another field has "
                f"version {known} of it"
            )
    for name, text in result.libraries.items():
        yield from _library(name, text)


def _library(name: str, text: str) -> Iterator[str]:
    stated = release(text)
    if name in LEAST and (stated is None or stated < LEAST[name]):
        least = ".".join(map(str, LEAST[name]))
        yield f"libraries.{name}: '{text}' cannot run oraclezoo, which needs {least} or newer"
    elif name in LEAST and stated is not None and stated[0] > _installed(name)[0] + 1:
        yield f"libraries.{name}: there is no version '{text}'"


def _installed(name: str) -> tuple[int, ...]:
    if name == "python":
        return tuple(sys.version_info[:3])
    return release(metadata.version(name)) or LEAST[name]


def release(text: str) -> tuple[int, ...] | None:
    """Return the release numbers of a version, or None if the text is not a version.

    >>> release("2.14.1+cpu"), release("newest")
    ((2, 14, 1), None)
    """
    match = _VERSION.fullmatch(text)
    return tuple(map(int, match["release"].split("."))) if match else None


def owners(claim: Claim) -> Iterator[str]:
    """Yield components whose name belongs to a different distribution."""
    for kind, part in claim.result.components.items():
        owner = part.name.partition(":")[0]
        if normalize(part.distribution) != normalize(owner):
            yield (
                f"components.{kind}: {part.name} is a component of {owner}, not of "
                f"{part.distribution}"
            )


def hardware(claim: Claim) -> Iterator[str]:
    """Yield contradictions between hardware class, processor, device and latency rows."""
    from oraclezoo.measure.hardware import class_of

    stated = claim.result.hardware
    due = class_of(stated.device, stated.device_memory_bytes, stated.cores, stated.threads)
    if stated.class_ != due:
        yield f"hardware.class is '{stated.class_}'; device, cores and threads imply '{due}'"
    if stated.device_memory_bytes is not None:
        kind = "cuda"
    elif stated.device == stated.cpu:
        kind = "cpu"
    else:
        kind = "mps"
        if stated.device != f"mps of {stated.cpu}":
            yield f"hardware.device is '{stated.device}', but the processor is '{stated.cpu}'"
    for index, row in enumerate(claim.result.latency):
        if row.device not in ("cpu", kind):
            yield f"latency[{index}]: measured on {row.device}, but the hardware is {stated.device}"
        elif row.device == "cpu" and row.threads > max(stated.threads, 1):
            yield f"latency[{index}]: {row.threads} threads, but the hardware has {stated.threads}"


def counts(claim: Claim) -> Iterator[str]:
    """Yield accuracies that are not a multiple of 1 / images, and unknown corruptions."""
    result = claim.result
    for score in result.seeds:
        share = score.validation_accuracy
        if share is not None and not _whole(share, result.track.validation):
            yield (
                f"seed {score.seed}: validation accuracy {share} is not a whole number of "
                f"{result.track.validation} images"
            )
    if result.robustness is None:
        return
    names = [one.name for one in result.robustness.corruptions]
    if result.robustness.version == VERSION and names != list(CORRUPTIONS):
        yield f"robustness: version {VERSION} has the corruptions {', '.join(CORRUPTIONS)}"
    for one in result.robustness.corruptions:
        if not all(_whole(share, result.track.test) for row in one.accuracy for share in row):
            yield (
                f"robustness: an accuracy under {one.name} is not a whole number of "
                f"{result.track.test} images"
            )


def _whole(share: float, images: int) -> bool:
    count = share * images
    return abs(count - round(count)) < 1e-6 * max(images, 1000)  # accept a mean in float32


RULES: Mapping[str, Rule] = {
    "versions": Rule(dates_and_versions, "dates and versions are possible"),
    "components": Rule(owners, "names belong to the distributions stated"),
    "hash": Rule(one_hash, "the only one of this recipe"),
    "hardware": Rule(hardware, "class follows from device, cores and threads"),
    "counts": Rule(counts, "accuracies are whole numbers of images"),
    "sizes": Rule(sizes, "parameters, multiply-accumulates and bytes follow from the recipe"),
    "times": Rule(times, "not below what the arithmetic takes"),
    "copies": Rule(copies, "predictions differ between seeds and from those of other recipes"),
}
"""The rules, keyed by name."""
