"""Targets: whether what a spec points at is there, without importing it.

Looks at the files that Python would import, and for the name in the module's source. Where that
cannot tell (a module in C, ``import *``, ``__getattr__``) the answer is that it is there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

from oraclezoo.errors import nearest


def missing(target: str) -> str:
    """Why ``package.module:attribute`` is not there, in words, or "" if it is or may be."""
    module, _, attribute = target.partition(":")
    found: ModuleSpec | None = None
    path: Sequence[str] | None = None
    name = ""
    for part in module.split("."):
        if name and path is None:
            return f"'{name}' is a module, not a package: there is no '{name}.{part}'"
        name = f"{name}.{part}" if name else part
        found = _spec(name, path)
        if found is None:
            return f"there is no module '{name}'"
        path = found.submodule_search_locations
    names = _names(found)
    first = attribute.partition(".")[0]
    if names is None or first in names:
        return ""
    return f"'{module}' defines no '{first}'{nearest(first, names)}"


def _spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        try:
            found = finder.find_spec(name, path)
        except (AttributeError, ImportError, ValueError):
            continue
        if found is not None:
            return found
    return None


def _names(found: ModuleSpec | None) -> set[str] | None:
    """What a module defines at its top, or None where its source does not tell."""
    if found is None or not found.origin or not found.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(found.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    names = set(_bound(tree.body))
    return None if names & {"*", "__getattr__"} else names


def _bound(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Names that statements bind, also inside ``if``, ``try``, ``with`` and loops."""
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
