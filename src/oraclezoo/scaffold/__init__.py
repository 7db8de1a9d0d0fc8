"""Scaffold: writes a plugin package to begin with. Imports light.

The templates lie beside this file; ``$words`` in them are replaced.
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
"""How each kind is benched at once."""


def try_it(kind: Scaffolded, name: str) -> str:
    """The command that benches a fresh package's component."""
    return "oraclezoo " + _TRY[kind].format(component=component(name))


def component(name: str) -> str:
    """The component's name in package ``name``: without a leading ``oraclezoo-``."""
    return name.removeprefix(_PREFIX)


def write(name: str, kind: Scaffolded, parent: Path) -> Path:
    """Write package ``name``, which brings one component of a kind, into ``parent / name``.

    It installs, passes its tests and benches as it is. Returns its folder. Raises UsageError for a
    name that cannot be a package's, that a module here has already, or a folder that is there.
    """
    _check_name(name)
    folder = parent / name
    if folder.exists():
        raise UsageError(f"{folder} is there already; choose another name or --out")
    if not parent.is_dir():
        raise UsageError(f"{parent} is not a folder; make it first, or choose another --out")
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
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text.substitute(words), encoding="utf-8")
    (folder / "src" / module / "py.typed").write_text("")
    return folder


def _class_name(name: str, kind: Scaffolded) -> str:
    """``my-rex`` is MyRexScheduler: a name that nothing else in the module has."""
    title = "".join(part.capitalize() for part in component(name).split("-"))
    suffix = kind.capitalize()
    if title == suffix:
        return f"My{title}"
    return title if title.endswith(suffix) else title + suffix


def _check_name(name: str) -> None:
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name) or name == "oraclezoo" or not component(name)[0].isalpha():
        raise UsageError(
            f"'{name}' is no name for a package: small letters and digits, joined by '-', "
            "a letter first, e.g. my-scheduler"
        )
    if keyword.iskeyword(module) or module in sys.stdlib_module_names:
        raise UsageError(f"'{module}' is a word of Python's; choose another name, e.g. my-{name}")
    if PathFinder.find_spec(module) is not None:
        raise UsageError(f"there is a module '{module}' here already; choose another name")
