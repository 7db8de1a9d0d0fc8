"""Redirects from the former addresses of moved pages."""

from __future__ import annotations

import posixpath
from html import escape
from pathlib import Path

from sphinx.application import Sphinx

MOVED = {
    "architecture": "internals",
    "api cli privacy results threats zoo": "reference",
    "audit convert corruptions downloads glyphs lock": "how-to/data",
    "calibrate compress compressed export prune quantize receipts": "how-to/shrink",
    "cloud engine memory plots recipes seeds sweeps trackers": "how-to/train",
    "models monitoring page predict serve": "how-to/use",
    "oraclenet protocol robustness speed": "explanation",
    "plugins reproduce submit": "how-to/publish",
    "tutorial": "start",
    "versions": "help",
}
"""Pages that used to be at the top level, and the folder that each is in now."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Moved to {target}</title>
<meta name="robots" content="noindex">
<link rel="canonical" href="{target}">
<script>location.replace("{target}" + location.search + location.hash);</script>
<noscript><meta http-equiv="refresh" content="0; url={target}"></noscript>
</head>
<body><p>This page has moved to <a href="{target}">{target}</a>.</p></body>
</html>
"""


def moved(pages: set[str]) -> dict[str, str]:
    """Return the new name of each moved page, by its former name.

    Args:
        pages: Names of the pages of this build, such as ``reference/zoo/backbones``.

    Raises:
        KeyError: If a page that moved is not in this build.
    """
    table = {name: f"{folder}/{name}" for names, folder in MOVED.items() for name in names.split()}
    missing = set(table.values()) - pages
    if missing:
        raise KeyError(f"redirects lead to missing pages: {', '.join(sorted(missing))}")
    zoo = {page.removeprefix("reference/"): page for page in pages if "reference/zoo/" in page}
    return {old: new for old, new in (table | zoo).items() if old not in pages}


def write_redirects(app: Sphinx, exception: Exception | None) -> None:
    """Write a page that forwards to the new address for each moved page."""
    if exception is not None or app.builder.name != "html":
        return
    for old, new in moved(set(app.env.found_docs)).items():
        path = Path(app.outdir, f"{old}.html")
        path.parent.mkdir(parents=True, exist_ok=True)
        target = escape(posixpath.relpath(f"{new}.html", posixpath.dirname(old) or "."))
        path.write_text(PAGE.format(target=target), encoding="utf-8")
