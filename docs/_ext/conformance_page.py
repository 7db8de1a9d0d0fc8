"""The table of the conformance kit's checks, read from its source: the kit itself imports torch."""

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
}


def conformance() -> str:
    """Kind, name and law of each check; the first is every kind's."""
    rows = [("each", "`target`", _law(_functions("kit")["target"]))]
    for kind, module in MODULES.items():
        functions = _functions(module)
        rows += [
            (kind, f"`{name.replace('_', '-')}`", _law(functions[name])) for name in _checks(module)
        ]
    return table(("kind", "check", "what it holds"), rows)


def _tree(module: str) -> ast.Module:
    return ast.parse((KIT / f"{module}.py").read_text(encoding="utf-8"))


def _functions(module: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in _tree(module).body if isinstance(node, ast.FunctionDef)}


def _checks(module: str) -> list[str]:
    """The names in the module's ``CHECKS``, in their order."""
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CHECKS":
            assert isinstance(node.value, ast.Tuple)
            return [ast.unparse(item) for item in node.value.elts]
    raise LookupError(f"testing/{module}.py has no CHECKS")


def _law(function: ast.FunctionDef) -> str:
    text = (ast.get_docstring(function) or "").partition("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")
