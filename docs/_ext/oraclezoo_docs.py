"""Sphinx extension: fills in the generated parts of pages, and keeps remote assets out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import generated
import links
import sheets
import zoo_pages
from measured import MEASUREMENTS
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_REMOTE = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+"""
    r"""|<link\b(?=[^>]*\brel=["'](?:stylesheet|preload|preconnect|icon|shortcut icon)["'])"""
    r"""[^>]*\bhref=["'](?:https?:)?//[^"']+""",
    re.IGNORECASE,
)
"""A part of a page that a browser would fetch from elsewhere; plain links are no such thing."""
_REMOTE_STYLE = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])(?:https?:)?//[^"')]+""")


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the markers of a page as it is read; it depends on all that oraclezoo says."""
    try:
        filled = generated.fill_in(source[0])
    except KeyError as error:
        known = ", ".join(generated.PAGES)
        raise ExtensionError(f"{docname}: nothing generates {error}; there is {known}") from error
    if filled != source[0]:
        source[0] = filled
        for pattern in ("*.py", "*.toml", "*.json"):
            for folder in (generated.PACKAGE, MEASUREMENTS):
                for path in folder.rglob(pattern):
                    app.env.note_dependency(str(path))


def list_fields(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Turn a docstring's aligned columns, "``field``   meaning", into a definition list."""
    made: list[str] = []
    within = False
    for line in lines:
        found = re.fullmatch(r"(``\w+``)\s{2,}(\S.*)", line)
        within = bool(found) or (within and line.startswith(" "))
        made += (
            [found[1], f"    {found[2]}"] if found else [f"    {line.strip()}" if within else line]
        )
    lines[:] = made


def refuse_remote_assets(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build when a page or style sheet would load anything from another host."""
    if exception is not None or app.builder.format != "html":
        return
    for suffix, pattern in (("html", _REMOTE), ("css", _REMOTE_STYLE)):
        for path in sorted(Path(app.outdir).rglob(f"*.{suffix}")):
            found = pattern.search(path.read_text(encoding="utf-8"))
            if found:
                raise ExtensionError(f"{path}: a remote asset: {found[0][:200]}")


def refuse_broken_links(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build when a link to this site leads nowhere in it."""
    if exception is None and app.builder.format == "html":
        found = links.broken(Path(app.outdir))
        if found:
            raise ExtensionError("links that lead nowhere:\n" + "\n".join(found[:50]))


def draw_sheets(app: Sphinx) -> None:
    """Make the pictures that pages refer to."""
    sheets.draw()


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("builder-inited", draw_sheets)
    app.connect("builder-inited", lambda _: zoo_pages.write())
    app.connect("source-read", fill_in)
    app.connect("autodoc-process-docstring", list_fields)
    app.connect("build-finished", refuse_remote_assets)
    app.connect("build-finished", refuse_broken_links, priority=900)  # once all files are there
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
