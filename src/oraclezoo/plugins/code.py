"""SHA-256 of the files of a plugin's distribution, recorded with every measurement.

An installed wheel lists its files in ``RECORD``. An editable install lists only a path; in that
case, the source files of the modules named by its entry points and specs are used. The digest is
the same in both cases if the files are the same. Compiled caches are ignored.

A spec may name a target in a package of another distribution, for example a plugin that only
describes the optimizer of a published library. The sources of that package are part of the digest.
"""

from __future__ import annotations

import hashlib
import json
import sysconfig
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

from oraclezoo.card import PluginSource
from oraclezoo.errors import PluginError

_CACHES = (".pyc", ".pyo")
_SHARED = {"site-packages", "dist-packages"}
_LIBRARY = ("stdlib", "platstdlib")
_RECORDED = {"oraclezoo", "torch", "timm", "numpy"}
"""Packages whose version or code every result records, so that no plugin's digest repeats it."""
_seen: dict[str, str] = {}
"""Digest of each distribution, computed when this process first requested it."""


def code_of(distribution: str, modules: Iterable[str]) -> PluginSource:
    """Return the version and code of an installed distribution.

    Args:
        distribution: Name of the distribution.
        modules: Modules named by its entry points and specs, for installs without ``RECORD``.

    Raises:
        PluginError: The distribution is not installed, a file cannot be read, or its files have
            changed since this process first called this function.
    """
    from importlib import metadata  # slow to import, and only needed for plugins

    try:
        installed = metadata.distribution(distribution)
    except metadata.PackageNotFoundError as error:
        raise PluginError(f"distribution '{distribution}' is not installed") from error
    digest, files = hashlib.sha256(), _files(installed, modules)
    if not files:
        raise PluginError(
            f"plugin {distribution}: its files are not found, so its code cannot be recorded; "
            "install it with pip"
        )
    try:
        for name, path in files:
            content = path.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    except OSError as error:
        raise PluginError(
            f"plugin {distribution}: {error.filename}: {error.strerror}; reinstall it: "
            f"pip install --force-reinstall {distribution}"
        ) from error
    sha256 = digest.hexdigest()
    first = _seen.setdefault(distribution, sha256)
    if first != sha256:  # the process may still be running the old code
        raise PluginError(
            f"the code of plugin {distribution} changed while it was in use ({first[:8]} -> "
            f"{sha256[:8]}); start again, so that all of it runs the same code"
        )
    return PluginSource(installed.version, sha256, _source(installed))


def paths_of(distribution: str, modules: Iterable[str]) -> frozenset[str]:
    """Return the absolute paths of a distribution's files; empty if it is not installed."""
    from importlib import metadata

    try:
        installed = metadata.distribution(distribution)
        return frozenset(str(path.resolve()) for _, path in _files(installed, modules))
    except (metadata.PackageNotFoundError, OSError):
        return frozenset()


def _files(installed: Any, modules: Iterable[str]) -> list[tuple[str, Path]]:
    """Return the path of each file relative to the import path, and its absolute path, sorted."""
    files: dict[str, Path] = {}
    if _source(installed) != "editable":
        for path in installed.files or ():
            place = Path(installed.locate_file(path))
            own = path.parts[0] != ".." and not path.parts[0].endswith((".dist-info", ".egg-info"))
            if own and _counts(path) and place.is_file():
                files[path.as_posix()] = place
    roots = [
        root for name in sorted({m.partition(".")[0] for m in modules}) for root in _roots(name)
    ]
    if not files:
        own = [root for root in roots if _belongs(root.parent, installed)]
        files = {name: path for root in own for name, path in _sources(root).items()}
    if files:
        for root in roots:
            borrowed = {} if root.stem in _RECORDED else _sources(root)
            if not borrowed.keys() & files.keys():
                files |= {name: path for name, path in borrowed.items() if path.suffix == ".py"}
    return sorted(files.items())


def _counts(path: PurePath) -> bool:
    """Return whether a file is code, rather than a compiled cache or a hidden file."""
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix not in _CACHES and "__pycache__" not in path.parts


def _roots(module: str) -> list[Path]:
    """Return the folders of a top-level package, or the file of a top-level module.

    The standard library has none.
    """
    from importlib.util import find_spec

    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    roots = folders or ([Path(str(spec.origin))] if spec.has_location else [])
    return [root for root in roots if str(root.parent) not in map(sysconfig.get_path, _LIBRARY)]


def _sources(root: Path) -> dict[str, Path]:
    """Return the files of a package or module, keyed by their path relative to the import path."""
    found = root.rglob("*") if root.is_dir() else [root]
    names = {path.relative_to(root.parent): path for path in found if path.is_file()}
    return {name.as_posix(): path for name, path in names.items() if _counts(name)}


def _belongs(parent: Path, installed: Any) -> bool:
    """Return whether a module in ``parent`` belongs to the distribution.

    A source checkout has its own folder; modules in ``site-packages`` belong to other
    distributions. A distribution without ``RECORD`` is located beside its metadata.
    """
    if _source(installed) != "editable":
        return parent.resolve() == Path(installed.locate_file("")).resolve()
    return not _SHARED & {*parent.parts}


def _source(installed: Any) -> str:
    """Return the origin of a distribution (see :class:`oraclezoo.card.PluginSource`).

    A distribution installed from an index has no ``direct_url.json`` (PEP 610).
    """
    try:
        direct = json.loads(installed.read_text("direct_url.json") or "null")
    except ValueError:
        return "local"
    if isinstance(direct, dict):
        folder = direct.get("dir_info")
        if isinstance(folder, dict) and folder.get("editable") is True:
            return "editable"
        return "local" if str(direct.get("url")).startswith("file:") else "url"
    outside = not _SHARED & {*Path(installed.locate_file("")).parts}
    if outside and installed.read_text("SOURCES.txt") is not None:  # from setup.py develop
        return "editable"
    return "index" if installed.read_text("INSTALLER") else "local"
