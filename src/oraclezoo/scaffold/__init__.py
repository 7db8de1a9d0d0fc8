"""Templates for plugin packages; cheap to import.

The templates are in the subfolder ``templates``; ``$words`` in them are placeholders.
"""

from __future__ import annotations

import keyword
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from string import Template
from typing import Literal

from oraclezoo.errors import UsageError
from oraclezoo.storage import write_atomically

Scaffolded = Literal["backbone", "optimizer", "scheduler", "dataset"]
KINDS: tuple[Scaffolded, ...] = ("backbone", "optimizer", "scheduler", "dataset")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TEMPLATES = Path(__file__).parent / "templates"
_PREFIX = "oraclezoo-"
_TRY = {
    "backbone": "bench quick -s backbone.name={component}",
    "optimizer": "bench quick -s optimizer.name={component}",
    "scheduler": "bench quick -s scheduler.name={component}",
    "dataset": "bench quick --track {component}",
}
"""Benchmark command for each kind of component."""


def try_it(kind: Scaffolded, name: str) -> str:
    """Return the command that benchmarks the component of a new package."""
    return "oraclezoo " + _TRY[kind].format(component=component(name))


def component(name: str) -> str:
    """Return the component name for package ``name``, without a leading ``oraclezoo-``."""
    return name.removeprefix(_PREFIX)


def write(name: str, kind: Scaffolded, parent: Path) -> Path:
    """Write package ``name`` with one component of the given kind to ``parent / name``.

    The new package can be installed, tested and benchmarked unchanged. Returns its folder. Raises
    UsageError for an invalid or existing package name, or an existing folder.
    """
    _check_name(name)
    folder = parent / name
    if folder.exists():
        raise UsageError(f"{folder} already exists; choose another name or --out")
    if not parent.is_dir():
        raise UsageError(f"{parent} is not a folder; create it, or choose another --out")
    module = name.replace("-", "_")
    words = {
        "name": name,
        "component": component(name),
        "module": module,
        "kind": kind,
        "title": _class_name(name, kind),
        "bench": try_it(kind, name),
    }
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "tests/test_conformance.py": "test_conformance.py",
        f"tests/test_{kind}.py": f"test_{kind}.py",
        f"src/{module}/__init__.py": f"specs_{kind}.py",
        f"src/{module}/{kind}.py": f"{kind}.py",
    }
    for path, template in files.items():
        text = Template((_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8"))
        write_atomically(folder / path, text.substitute(words).encode())
    write_atomically(folder / "src" / module / "py.typed", b"")
    return folder


def _class_name(name: str, kind: Scaffolded) -> str:
    """Return a unique class name for the module, e.g. MyRexScheduler for ``my-rex``."""
    title = "".join(part.capitalize() for part in component(name).split("-"))
    suffix = kind.capitalize()
    if title == suffix:
        return f"My{title}"
    return title if title.endswith(suffix) else title + suffix


def _check_name(name: str) -> None:
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name) or name == "oraclezoo" or not component(name)[0].isalpha():
        raise UsageError(
            f"'{name}' is not a valid package name; use lowercase letters and digits, joined "
            "by '-' and starting with a letter, e.g. my-scheduler"
        )
    if keyword.iskeyword(module) or module in sys.stdlib_module_names:
        raise UsageError(
            f"'{module}' is a Python keyword or standard module; choose another name, e.g. "
            f"my-{name}"
        )
    if PathFinder.find_spec(module) is not None:
        raise UsageError(f"a module '{module}' is already installed; choose another name")
