"""Check whether the target of a spec exists, without importing it.

Locates the file that Python would import and searches its source for the name. If that is
inconclusive (a C module, ``import *``, ``__getattr__``), the target is assumed to exist.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

from oraclezoo.errors import nearest


def missing(target: str) -> str:
    """Return why ``package.module:attribute`` does not exist, or "" if it may exist."""
    module, _, attribute = target.partition(":")
    spec: ModuleSpec | None = None
    path: Sequence[str] | None = None
    name = ""
    for part in module.split("."):
        if name and path is None:
            return f"'{name}' is a module, not a package, so '{name}.{part}' cannot exist"
        name = f"{name}.{part}" if name else part
        spec = _spec(name, path)
        if spec is None:
            return f"no module named '{name}'"
        path = spec.submodule_search_locations
    names = _names(spec)
    first = attribute.partition(".")[0]
    if names is None or first in names:
        return ""
    return f"'{module}' defines no '{first}'{nearest(first, names)}"


def _spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except (AttributeError, ImportError, ValueError):
            continue
        if spec is not None:
            return spec
    return None


def _names(spec: ModuleSpec | None) -> set[str] | None:
    """Return the top-level names of a module, or None if its source does not determine them."""
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    names = set(_bound(tree.body))
    return None if names & {"*", "__getattr__"} else names


def _bound(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield names that statements bind, also inside ``if``, ``try``, ``with`` and loops."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.alias):
                yield node.asname or node.name.partition(".")[0]
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield node.name
