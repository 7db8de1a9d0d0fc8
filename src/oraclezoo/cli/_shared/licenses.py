"""Licenses of the installed dependencies, read from their metadata without importing them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

CORE = "core"
"""Marks packages that are required without any extra."""

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")
_CLASSIFIER = "License :: "


@dataclass(frozen=True, slots=True)
class License:
    """License of one package.

    Attributes:
        name: Name of the distribution.
        version: Installed version; None if it is not installed.
        license: SPDX expression, or other license text in the metadata; None if there is none.
        needed_by: ``core``, or the extras that require the package, directly or transitively.
    """

    name: str
    version: str | None
    license: str | None
    needed_by: tuple[str, ...]


def licenses(root: str = "oraclezoo") -> list[License]:
    """List the licenses of a distribution and of all its dependencies.

    Dependencies of installed packages are followed. A package that is not installed is listed only
    if it is a direct dependency of ``root``.

    Args:
        root: Name of the distribution.

    Returns:
        The licenses, by name.

    Raises:
        PackageNotFoundError: ``root`` is not installed.
    """
    extras = distribution(root).metadata.get_all("Provides-Extra") or []
    needed: dict[str, set[str]] = {}
    for group in (CORE, *extras):
        requested = () if group == CORE else (group,)
        for name in _closure(root, requested):
            needed.setdefault(name, set()).add(group)
    return [_license(name, groups) for name, groups in sorted(needed.items())]


def _closure(root: str, extras: tuple[str, ...]) -> set[str]:
    """Return the canonical names of a distribution and its dependencies with some extras."""
    first = [(canonical(root), extra) for extra in ("", *extras)]
    direct = {name for _, extra in first for name, _ in _requirements(distribution(root), extra)}
    seen: set[tuple[str, str]] = set()
    waiting = first
    while waiting:
        package = waiting.pop()
        installed = _find(package[0])
        if package in seen or (installed is None and package[0] not in direct):
            continue
        seen.add(package)
        if installed is not None:
            waiting += _requirements(installed, package[1])
    return {name for name, _ in seen}


def _requirements(found: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Yield name and extra of each requirement of a distribution for an extra, "" for none.

    Markers for other systems are ignored: packages that they name are not installed here.
    """
    for line in found.requires or ():
        requirement, _, marker = line.partition(";")
        wanted = _EXTRA.search(marker)
        if (canonical(wanted[1]) if wanted else "") != canonical(extra):
            continue
        match = _REQUIREMENT.match(requirement)
        if match is not None:
            more = [part.strip() for part in (match[2] or "").split(",") if part.strip()]
            yield from ((canonical(match[1]), one) for one in ("", *more))


def canonical(name: str) -> str:
    """Return the normalized name of a distribution, so that equal names compare equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _find(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _license(name: str, groups: set[str]) -> License:
    match = _find(name)
    needed_by = (CORE,) if CORE in groups else tuple(sorted(groups))
    if match is None:
        return License(name, None, None, needed_by)
    return License(match.metadata["Name"], match.version, license_of(match), needed_by)


def license_of(found: Distribution) -> str | None:
    """Return the license in a distribution's metadata, as one line.

    The SPDX expression takes precedence, then classifiers, then the free text if it is short.
    """
    expressions = found.metadata.get_all("License-Expression") or []
    if expressions:
        return str(expressions[0])
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in found.metadata.get_all("Classifier") or []
        if line.startswith(_CLASSIFIER) and line != "License :: OSI Approved"
    ]
    if classifiers:
        return ", ".join(classifiers)
    texts = found.metadata.get_all("License") or [""]
    first = str(texts[0]).split("\n", 1)[0].strip()
    return first if first and len(first) <= 80 and first != "UNKNOWN" else None
