"""Files of an image: sizes, installed packages, and what its user may change."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

SBOM = "usr/share/sbom/oraclezoo.cdx.json"
ENVIRONMENT = "opt/oraclezoo"
_PLACES = frozenset({"dev", "proc", "run", "sys", "tmp"})
"""Folders that the runtime mounts, or that are for temporary files."""


def total_bytes(root: Path) -> int:
    """Return the bytes of all files below a folder; a file with several names counts once."""
    seen = {(entry.st_dev, entry.st_ino): entry.st_size for _, entry in _files(root)}
    return sum(seen.values())


def largest(root: Path, count: int) -> list[tuple[str, int]]:
    """Return the folders of site-packages that take most, with their bytes."""
    (site,) = (root / ENVIRONMENT).glob("lib/python3.*/site-packages")
    sizes = [(path.name, total_bytes(path)) for path in site.iterdir() if path.is_dir()]
    return sorted(sizes, key=lambda size: -size[1])[:count]


def installed(root: Path) -> dict[str, str]:
    """Return the installed distributions: version by normalized name."""
    (site,) = (root / ENVIRONMENT).glob("lib/python3.*/site-packages")
    found = {}
    for folder in site.glob("*.dist-info"):
        text = (folder / "METADATA").read_text(encoding="utf-8")
        fields = dict(re.findall(r"^(Name|Version): (.+)$", text, flags=re.MULTILINE))
        found[_normalized(fields["Name"])] = fields["Version"]
    return found


def listed(lock: Path) -> dict[str, str]:
    """Return the packages in a lock: version by normalized name."""
    pins = re.findall(r"^([A-Za-z0-9][^\s;=]+)==([^\s;\\]+)", lock.read_text("utf-8"), re.MULTILINE)
    return {_normalized(name): version for name, version in pins}


def in_sbom(root: Path) -> dict[str, str]:
    """Return the components that the image's CycloneDX document lists: version by name."""
    document = json.loads((root / SBOM).read_text(encoding="utf-8"))
    assert document["bomFormat"] == "CycloneDX"
    return {_normalized(each["name"]): each["version"] for each in document["components"]}


def named(root: Path, names: frozenset[str]) -> list[str]:
    """Return the folders of Python packages with one of these names, anywhere in the image."""
    found = [
        folder
        for name in sorted(names)
        for pattern in (f"*-packages/{name}", f"*-packages/{name}-*.dist-info")
        for folder in root.glob(f"*/**/{pattern}")
    ]
    return [str(path.relative_to(root)) for path in found]


def writable(root: Path, user: int, group: int) -> list[str]:
    """Return what a user may change, apart from folders for temporary files."""
    found = []
    for path, entry in _files(root, folders=True):
        place = path.relative_to(root)
        if place.parts[0] in _PLACES or stat.S_ISLNK(entry.st_mode):
            continue
        mode = entry.st_mode
        mine = entry.st_uid == user and mode & stat.S_IWUSR
        ours = entry.st_gid == group and mode & stat.S_IWGRP
        sticky = mode & stat.S_ISVTX and mode & stat.S_IWOTH
        if (mine or ours or mode & stat.S_IWOTH) and not sticky:
            found.append(str(place))
    return found


def _files(root: Path, *, folders: bool = False) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files below a folder, links as such, and on request the folders too."""
    for parent, inner, names in os.walk(root):
        for name in (*names, *(inner if folders else ())):
            path = Path(parent, name)
            yield path, path.lstat()


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
