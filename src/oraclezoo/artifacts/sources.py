"""SHA-256 of oraclezoo's source code, to distinguish unreleased versions."""

from __future__ import annotations

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

from oraclezoo._version import __version__

ROOT = Path(__file__).parents[1]

_STRING_OR_COMMENT = re.compile(
    r'''"""(?:\\.|[^\\])*?"""|\'{3}(?:\\.|[^\\])*?\'{3}'''
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[ \t]*\#[^\n]*""",
    re.DOTALL,
)


@cache
def code_sha256() -> str:
    """Return the SHA-256 (hex) of the version and of each source file's name and code."""
    digest = hashlib.sha256(__version__.encode())
    for path in sorted(ROOT.rglob("*.py")):
        code = code_of(path.read_text(encoding="utf-8"))
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + code.encode())
    return digest.hexdigest()


def code_of(source: str) -> str:
    """Return a module's source without comments, docstrings, blank lines and trailing spaces.

    The remaining text is kept as it is: a dump of the syntax tree, or the tokens of an f-string,
    would depend on the Python version, and ``tokenize`` takes seconds for all files.
    """
    unchanged: set[int] = set()

    def replacement(match: re.Match[str]) -> str:
        if match[0].lstrip(" \t").startswith("#"):
            return ""
        if "\n" in match[0]:
            first = source.count("\n", 0, match.start()) + 1
            unchanged.update(range(first, first + match[0].count("\n") + 1))
        return match[0]

    lines = _STRING_OR_COMMENT.sub(replacement, source).split("\n")
    for node in _strings(ast.parse(source)):
        for row in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            unchanged.discard(row)
            lines[row - 1] = ""
    return "\n".join(
        line if row in unchanged else line.rstrip()
        for row, line in enumerate(lines, 1)
        if row in unchanged or line.strip()
    )


def _strings(tree: ast.Module) -> list[ast.Expr]:
    """Return the string statements: docstrings of modules, classes, functions and constants."""
    bodies = [tree.body]
    strings = []
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                if isinstance(node.value.value, str):
                    strings.append(node)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If)):
                bodies.append(node.body)
    return strings
