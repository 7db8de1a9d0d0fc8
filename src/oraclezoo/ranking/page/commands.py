"""Commands of results as visitors can use them: without folders of the machine that ran them."""

from __future__ import annotations

import shlex

from oraclezoo.ranking.compression import UNCOMPRESSED
from oraclezoo.ranking.rows import Row
from oraclezoo.result import Result

_FOLDERS = ("--data-dir", "--out", "--runs")
"""Options whose values are folders of the machine."""


def training_command(result: Result, row: Row) -> str:
    """Return the recorded ``oraclezoo bench`` command, reduced to this row.

    Options that name folders are left out, as are the other recipes and compressed variants that
    the command has benchmarked. Returns an empty string if the recorded command is not an
    ``oraclezoo bench`` command with the recipe of the row.
    """
    try:
        words = shlex.split(result.command)
    except ValueError:
        return ""
    if words[:2] != ["oraclezoo", "bench"]:
        return ""
    recipes, options = _split(words[2:])
    if row.recipe not in recipes:
        return ""
    kept = []
    for name, value in options:
        if name in _FOLDERS or (name == "--compress" and value != row.compression):
            continue
        kept += [name] if value is None else [name, value]
    if row.compression != UNCOMPRESSED and "--compress" not in kept:
        kept += ["--compress", row.compression]
    return shlex.join(["oraclezoo", "bench", row.recipe, *kept])


def _split(words: list[str]) -> tuple[list[str], list[tuple[str, str | None]]]:
    """Split words into leading recipes, and options with their values; ``--a=b`` is split too."""
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    options: list[tuple[str, str | None]] = []
    for word in words[first:]:
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            options.append((name, value if equals else None))
        elif options and options[-1][1] is None:
            options[-1] = (options[-1][0], word)
    return words[:first], options
