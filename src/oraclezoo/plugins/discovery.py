"""Discover entry points of the group ``oraclezoo`` on ``sys.path``.

Reads the same files as ``importlib.metadata``, but importing that module alone would exceed the
time budget of ``oraclezoo list``. Unlike ``importlib.metadata.EntryPoint``, this module keeps the
distribution and malformed lines, so that the host can report them.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

GROUP = "oraclezoo"

_VALUE = re.compile(r"(?P<module>\w+(\.\w+)*)(\s*:\s*(?P<attribute>\w+(\.\w+)*))?\s*(\[.*\])?")
_FOLDER = re.compile(r"(?P<name>[A-Za-z0-9][\w.]*)(-(?P<version>[^-]+))?.*\.(dist|egg)-info")


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One line of a distribution's ``entry_points.txt``.

    ``distribution`` is the normalized name (see :func:`normalize`), ``value`` the text after "=".
    """

    distribution: str
    version: str
    name: str
    value: str

    @property
    def well_formed(self) -> bool:
        """Whether ``value`` is ``package.module`` or ``package.module:object``."""
        return _VALUE.fullmatch(self.value) is not None

    def load(self) -> Any:
        """Import the object that ``value`` names. Import errors propagate."""
        match = _VALUE.fullmatch(self.value)
        assert match is not None, self.value
        target: Any = importlib.import_module(match["module"])
        for part in (match["attribute"] or "").split("."):
            target = getattr(target, part) if part else target
        return target


def normalize(name: str) -> str:
    """Normalize a distribution name (PEP 503), e.g. ``Oracle_Zoo.X`` to ``oracle-zoo-x``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entry_points(paths: Iterable[str] | None = None) -> list[EntryPoint]:
    """Return the entry points found on ``paths`` (default ``sys.path``), sorted by distribution.

    If a distribution is found twice, e.g. installed and as an editable checkout, only the first one
    on the path counts, because Python imports that one.
    """
    points: list[EntryPoint] = []
    seen: set[str] = set()
    for path in sys.path if paths is None else paths:
        for folder, name, version in _metadata_folders(path or "."):
            distribution = normalize(name)
            if distribution in seen:
                continue
            header = "METADATA" if folder.endswith(".dist-info") else "PKG-INFO"
            if not os.access(f"{folder}/{header}", os.R_OK):  # left by an uninstalled package
                continue
            seen.add(distribution)
            text = _read(f"{folder}/entry_points.txt")
            if f"[{GROUP}]" in text:
                version = version or _version(_read(f"{folder}/{header}"))
                points += [EntryPoint(distribution, version, *line) for line in _lines(text)]
    return sorted(points, key=lambda point: (point.distribution, point.name))


def _metadata_folders(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield each metadata folder in ``path``, with the distribution's name and version."""
    try:
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith("-info"))
    except OSError:  # missing, not a folder, or not readable
        return
    for name in names:
        match = _FOLDER.fullmatch(name)
        if match:
            yield f"{path}/{name}", match["name"], match["version"] or ""


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each line in our section; without "=", the value is ""."""
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif section == GROUP and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()


def _version(header: str) -> str:
    match = re.search(r"^Version:\s*(\S+)", header, re.MULTILINE)
    return match[1] if match else "unknown"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # start-up time
            return file.read()
    except OSError:
        return ""
