"""Numbers that a person typed into the documentation: which of them need a source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from helpers.number_sources import ROOT, Entry, builtins

WHAT_TO_DO = (
    "let docs/_ext make it from a committed file, say it without the number, "
    "or name its source in docs/numbers.toml (CONTRIBUTING.md, 'A number in the documentation')"
)
UNITS = (
    r"%|‰|percent|points?|nats?|[nµmk]?s|seconds?|minutes?|hours?|h|days?|images/s|/s"
    r"|[kKMG]i?B|bytes|[kKMG]|[MG]?MACs|[TGP]?FLOP(?:/s|s)?|×|-?fold|times|°C?|W"
)
NUMBER = re.compile(
    r"(?<![\w.:/#-])(?P<value>\d+(?:,\d{3})*(?:\.\d+)?)"
    rf"(?:[ -]?(?P<unit>{UNITS})(?![\w-])(?! ?\d)|(?P<of>(?= of \d)))?(?![\w])"
)
"""A number with what follows it: a unit, or `` of M``."""
EXEMPT = re.compile(
    r"\b(?:Python|[Vv]ersions?|CUDA|opset|License) \s*\d[\d.]*(?:(?: to |, | and )\d[\d.]*)*"
    r"|\bLicense\s+\d\.\d"
    r"|\b\d{4}-\d\d(?:-\d\d)?\b|\b(?:19|20)\d\d\b(?! (?:images|steps|examples))"  # dates
    r"|\barXiv[: ]\d{4}\.\d+"
    r"|\b\d+ ?[×x] ?\d+\b"  # a kernel's or an image's shape
)


class Number(NamedTuple):
    """One that needs a source: where it stands, lines from 1, and how it is written."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text!r} has no source: {WHAT_TO_DO}"


def pages() -> dict[str, str]:
    """Every text whose numbers a person typed, by its name: pages, generators' words, specs."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}
    for file in sorted((ROOT / "docs" / "_ext").glob("*.py")):
        found[str(file.relative_to(ROOT))] = _strings(file.read_text(encoding="utf-8"))
    return found | {"specs of the zoo": "\n".join(_specs())}


def numbers(name: str, page: str, entries: list[Entry]) -> Iterator[Number]:
    """The numbers of a page that need a source and have none, in order."""
    text = shown(page)
    for entry in entries:
        if entry.page in ("", name):
            for found in entry.pattern.finditer(page):
                text = text[: found.start()] + _blank(found) + text[found.end() :]
    for found in NUMBER.finditer(EXEMPT.sub(_blank, text)):
        if needs_source(found):
            yield Number(name, text.count("\n", 0, found.start()) + 1, found[0].strip())


def needs_source(found: re.Match[str]) -> bool:
    """A number with a unit, with decimals, from 100 up, or so many of so many."""
    value = found["value"].replace(",", "")
    return bool(found["unit"]) or found["of"] is not None or "." in value or float(value) >= 100


def shown(page: str) -> str:
    """What a reader is told, all else blanked so that places stay as they are.

    Of code and commands only comments and output are told; of links their words; nothing of
    inline code, which a reader types, and of the README's table, which another test makes anew.
    """
    text = re.sub(r"<!-- table:begin.*?table:end -->", _blank, page, flags=re.S)
    text = re.sub(r"\A---\n.*?\n---\n", _blank, text, flags=re.S)
    text = re.sub(r"^```[^\n]*\n.*?^```$", _told, text, flags=re.M | re.S)
    text = re.sub(r"`[^`\n]+`|\]\([^)\s]*\)|https?://[^\s>)]+", _blank, text)
    return re.sub(r"^% generated: .*$|^ *\d+\. ", _blank, text, flags=re.M)


def _strings(code: str) -> str:
    """A Python file's strings but for its docstrings, each on the line that it begins on."""
    lines = [""] * (code.count("\n") + 1)
    tree = ast.parse(code)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    skipped = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            lines[node.lineno - 1] += " " + " ".join(node.value.split())
    return "\n".join(lines)


def _specs() -> Iterator[str]:
    """Summary, help and facts in words of every built-in component: what its page is made of."""
    for kind in ("backbone", "optimizer", "scheduler", "dataset", "tracker"):
        for entry in builtins().entries(kind):
            spec = entry.spec
            words = [value for value in spec.facts.values() if isinstance(value, str)]
            told = [spec.summary, *(option.help for option in spec.options), *words]
            yield f"{spec.name}: {'; '.join(told)}"


def _told(found: re.Match[str]) -> str:
    """A block of code with all blanked but what it tells."""
    first, *lines, last = found[0].split("\n")
    kind = first.strip("`")
    if kind.startswith("{"):
        return _blank(found)
    typed = [line.startswith(("$", " ")) if kind == "console" else kind != "text" for line in lines]
    told = [_comment(line) if typed_ else line for line, typed_ in zip(lines, typed, strict=True)]
    return "\n".join([" " * len(first), *told, " " * len(last)])


def _comment(line: str) -> str:
    """A line of code with all before its comment blanked."""
    place = re.search(r"(?:^|\s)#+ ", line)
    return " " * place.start() + line[place.start() :] if place else " " * len(line)


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])
