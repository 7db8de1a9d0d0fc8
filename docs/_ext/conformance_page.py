"""Table of conformance checks, parsed from the kit's source because the kit imports torch."""

from __future__ import annotations

import ast
from pathlib import Path

from measured import table

import oraclezoo

KIT = Path(oraclezoo.__file__).parent / "testing"
MODULES = {
    "backbone": "backbones",
    "optimizer": "optimizers",
    "scheduler": "schedulers",
    "dataset": "datasets",
    "tracker": "trackers",
    "executor": "executors",
}


def conformance() -> str:
    """Return a table of all checks; the first applies to every kind of component."""
    rows = [("all", "`target`", _law(_functions("kit")["target"]))]
    for kind, module in MODULES.items():
        functions = _functions(module)
        rows += [
            (kind, f"`{name.replace('_', '-')}`", _law(functions[name])) for name in _checks(module)
        ]
    return table(("kind", "check", "requirement"), rows)


def _tree(module: str) -> ast.Module:
    return ast.parse((KIT / f"{module}.py").read_text(encoding="utf-8"))


def _functions(module: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in _tree(module).body if isinstance(node, ast.FunctionDef)}


def _checks(module: str) -> list[str]:
    """Return the names in the ``CHECKS`` of a module, in order."""
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CHECKS":
            assert isinstance(node.value, ast.Tuple)
            return [ast.unparse(item) for item in node.value.elts]
    raise LookupError(f"testing/{module}.py has no CHECKS")


def _law(function: ast.FunctionDef) -> str:
    text = (ast.get_docstring(function) or "").partition("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")
