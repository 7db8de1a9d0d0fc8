"""Sphinx extension that fills in generated blocks and rejects remote assets."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import cli_pages
import drawing_page
import generated
import links
import notebooks
import redirects
import sheets
import zoo_pages
from docutils import nodes
from measured import MEASUREMENTS
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_REMOTE = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+"""
    r"""|<link\b(?=[^>]*\brel=["'](?:stylesheet|preload|preconnect|icon|shortcut icon)["'])"""
    r"""[^>]*\bhref=["'](?:https?:)?//[^"']+""",
    re.IGNORECASE,
)
"""Elements that a browser would load from another host; plain links are allowed."""
_REMOTE_STYLE = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])(?:https?:)?//[^"')]+""")


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the markers of a page, and make the page depend on all sources."""
    try:
        filled = generated.fill_in(source[0])
    except KeyError as error:
        known = ", ".join(generated.PAGES)
        raise ExtensionError(
            f"{docname}: unknown generated block {error}; known: {known}"
        ) from error
    if filled != source[0]:
        source[0] = filled
        for pattern in ("*.py", "*.toml", "*.json"):
            for folder in (generated.PACKAGE, MEASUREMENTS):
                for path in folder.rglob(pattern):
                    app.env.note_dependency(str(path))


def list_fields(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Turn aligned columns of a docstring, "``field``   meaning", into a definition list."""
    converted: list[str] = []
    inside = False
    for line in lines:
        field = re.fullmatch(r"(``\w+``)\s{2,}(\S.*)", line)
        inside = bool(field) or (inside and line.startswith(" "))
        converted += (
            [field[1], f"    {field[2]}"] if field else [f"    {line.strip()}" if inside else line]
        )
    lines[:] = converted


def refuse_remote_assets(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build if a page or style sheet loads anything from another host."""
    if exception is not None or app.builder.format != "html":
        return
    for suffix, pattern in (("html", _REMOTE), ("css", _REMOTE_STYLE)):
        for path in sorted(Path(app.outdir).rglob(f"*.{suffix}")):
            asset = pattern.search(path.read_text(encoding="utf-8"))
            if asset:
                raise ExtensionError(f"{path} loads a remote asset: {asset[0][:200]}")


def refuse_broken_links(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build if an internal link is broken."""
    if exception is None and app.builder.format == "html":
        dangling = links.broken(Path(app.outdir))
        if dangling:
            raise ExtensionError("broken links:\n" + "\n".join(dangling[:50]))


def describe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add a description to a page without one: its first paragraph."""
    if doctree is None or 'name="description"' in context.get("metatags", ""):
        return
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if len(text) > 20:
            short = text if len(text) <= 160 else text[:157].rsplit(" ", 1)[0] + "..."
            tag = f'<meta name="description" content="{escape(short)}">'
            context["metatags"] = context.get("metatags", "") + tag
            return


def draw_sheets(app: Sphinx) -> None:
    """Draw the images that pages refer to."""
    sheets.draw()


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the handlers to Sphinx."""
    app.connect("builder-inited", draw_sheets)
    app.connect("builder-inited", lambda _: notebooks.run())
    app.connect("builder-inited", lambda _: zoo_pages.write())
    app.connect("builder-inited", lambda _: cli_pages.write())
    app.connect("source-read", fill_in)
    app.connect("autodoc-process-docstring", list_fields)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", drawing_page.announce)
    app.connect("build-finished", drawing_page.write_drawing_page, priority=100)
    app.connect("build-finished", redirects.write_redirects, priority=200)
    app.connect("build-finished", refuse_remote_assets)
    app.connect("build-finished", refuse_broken_links, priority=900)  # after all files are written
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
