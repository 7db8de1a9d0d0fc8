"""The leaderboard directive, its document node, the pages of rows, and downloadable files."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.errors import OracleZooError, ResultError
from oraclezoo.ranking.load import Entry, load_results, published_folder
from oraclezoo.ranking.page.board import board, entries_by_row
from oraclezoo.ranking.page.links import Key, Links, key
from oraclezoo.ranking.page.row import row_page, title
from oraclezoo.ranking.table import Table, tables

if TYPE_CHECKING:
    from sphinx.builders import Builder
    from sphinx.environment import BuildEnvironment
    from sphinx.writers.html5 import HTML5Translator

FOLDER = "_static/oraclezoo"
"""Folder for downloadable files in the built site."""
KIND = "oraclezoo_leaderboards"
"""Metadata key for the number of leaderboards on a page."""
ROW = "oraclezoo_row"
"""Key in the context of a row's page."""
_CHARACTERS = [f"{glyph} {meaning}" for glyph, meaning in zip(GLYPHS, CLASSES, strict=True)]
_TRACKS = ("oracle-mnist", "oracle-mnist-3k", "glyphs", "glyphs-3k")
"""Tracks with the characters of Oracle-MNIST."""
_ADDRESS = re.compile(r'(?<=href=")oz-(page|file):([^"#]+)')


class leaderboard(nodes.General, nodes.Element):  # noqa: N801  # docutils names nodes so
    """Document node of a leaderboard; builders other than HTML render its children."""


class Leaderboard(SphinxDirective):
    """Directive ``oraclezoo-leaderboard``: tables of the results in folders and files."""

    required_arguments = 1
    optional_arguments = 1000
    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {
        "track": directives.unchanged_required,
        "division": lambda argument: directives.choice(argument, ("closed", "open")),
        "components": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the node. Raises a directive error if the results cannot be read."""
        sources = [self._path(argument) for argument in self.arguments]
        self._depend(sources)  # done first, so that a page with an error is rebuilt too
        number = self.env.metadata[self.env.docname].get(KIND, 0) + 1
        self.env.metadata[self.env.docname][KIND] = number
        filters = {name: self.options.get(name) for name in ("track", "division")}
        try:
            entries = load_results(sources)
            boards = tables(entries, **filters)
            name = f"{self.env.docname.replace('/', '-')}-{number}"
            files = {f"{name}.json": _json(boards), f"{name}.csv": _csv(boards)}
            names = {f"the tables as {file.rpartition('.')[2].upper()}": file for file in files}
            marked = {label: f"oz-file:{FOLDER}/{file}" for label, file in names.items()}
            links = self._links(entries, boards, number)
            html = board(entries, links=links, downloads=marked, **filters)
            pages = _pages(boards, entries, links)
        except OracleZooError as error:
            raise self.error(str(error)) from error
        text = "\n".join(table.to_markdown() for table in boards)
        child = nodes.literal_block(text, text, language="none")
        copied = [str(path) for path in _files(entries)]
        return [leaderboard("", child, html=html, files=files, pages=pages, copied=copied)]

    def _links(self, entries: Sequence[Entry], boards: Sequence[Table], number: int) -> Links:
        page = self.env.docname
        folder = page if number == 1 else f"{page}/{number}"
        rows: dict[Key, str] = {}
        for each in boards:
            for row in each.rows:
                name = f"{folder}/{row.id}"
                if f"oz-page:{name}" in rows.values():  # other code of a plugin
                    name += f"-{len(rows)}"
                rows[key(row)] = f"oz-page:{name}"
        present = {path.name for path in _files(entries)}
        return Links(
            rows=rows,
            component=self._component,
            file=lambda name: f"oz-file:{FOLDER}/results/{name}" if name in present else None,
            board=f"oz-page:{page}",
            classes=dict.fromkeys(_TRACKS, _CHARACTERS),
            published=_is_published(entries),
        )

    def _component(self, kind: str, name: str) -> str | None:
        """Return the page of a built-in component, if the option names a folder with one."""
        folder = self.options.get("components")
        if folder is None or not name.startswith("oraclezoo:"):
            return None
        short = name.removeprefix("oraclezoo:")
        page, _ = self.env.relfn2path(f"{folder}/{kind}s/{short}")
        return f"oz-page:{page}" if page in self.env.found_docs else None

    def _path(self, argument: str) -> Path:
        _, path = self.env.relfn2path(argument)
        return Path(path)

    def _depend(self, sources: Sequence[Path]) -> None:
        for source in sources:
            for path in sorted(source.iterdir()) if source.is_dir() else [source]:
                self.env.note_dependency(str(path))


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Return the pages with leaderboards, to be rebuilt because results may have been added."""
    return [name for name, data in env.metadata.items() if data.get(KIND) and name not in removed]


def visit_html(translator: HTML5Translator, node: leaderboard) -> None:
    """Write the HTML, with links relative to the page."""
    builder = translator.builder
    translator.body.append(_resolved(node["html"], builder, builder.current_docname))
    raise nodes.SkipNode


def _resolved(html: str, builder: Builder, page: str) -> str:
    """Return HTML whose links to pages and files are relative to a page."""
    here = builder.get_target_uri(page)

    def address(match: re.Match[str]) -> str:
        kind, target = match.groups()
        return relative_uri(here, builder.get_target_uri(target) if kind == "page" else target)

    return _ADDRESS.sub(address, html)


def enter(translator: nodes.NodeVisitor, node: leaderboard) -> None:
    """Do nothing: other builders render the children of the node, i.e. the tables as text."""


def leave(translator: nodes.NodeVisitor, node: leaderboard) -> None:
    """Do nothing."""


def row_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield name, context and template for the page of each row."""
    for node in _boards(app):
        for name, (heading, html) in node["pages"].items():
            description = f"{heading}: seeds, recall, confusion, calibration, latency, provenance"
            context = {
                "title": heading,
                "body": _resolved(html, app.builder, name),
                "metatags": f'<meta name="description" content="{escape(description)}"/>',
                ROW: True,
            }
            yield name, context, "page.html"


def add_assets(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add the stylesheet and script to pages with a leaderboard, and to those of its rows."""
    row = context.get(ROW)
    if row or (doctree is not None and any(doctree.findall(leaderboard))):
        app.add_css_file("oraclezoo-leaderboard.css")
        app.add_js_file("oraclezoo-leaderboard.js", loading_method="defer")
    if row:
        context["toctree"] = _shared_toctree(app, page, context["toctree"])


def _shared_toctree(app: Sphinx, page: str, toctree: Any) -> Any:
    """Return the navigation of a row's page: top level, the same for all pages of a folder.

    Rendering the whole navigation for each row would take longer than rendering the row.
    """
    cache: dict[str, str] = app.__dict__.setdefault("_oraclezoo_toctrees", {})
    folder = page.rpartition("/")[0]

    def shared(**options: Any) -> str:
        name = f"{folder} {sorted(options.items())}"
        if name not in cache:
            cache[name] = toctree(**(options | {"collapse": True, "maxdepth": 1}))
        return cache[name]

    return shared


def write_downloads(app: Sphinx, exception: Exception | None) -> None:
    """Write the files with the downloadable tables of each leaderboard, and copy its results."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / FOLDER
    for node in _boards(app):
        (folder / "results").mkdir(parents=True, exist_ok=True)
        for file, text in node["files"].items():
            (folder / file).write_text(text, encoding="utf-8", newline="\n")
        for path in map(Path, node["copied"]):
            shutil.copyfile(path, folder / "results" / path.name)


def _boards(app: Sphinx) -> Iterator[leaderboard]:
    """Yield each leaderboard of the site."""
    for name, data in sorted(app.env.metadata.items()):
        if data.get(KIND):
            yield from app.env.get_doctree(name).findall(leaderboard)


def _pages(
    boards: Sequence[Table], entries: Sequence[Entry], links: Links
) -> dict[str, tuple[str, str]]:
    """Return title and HTML of the page of each row, by name."""
    by_row = entries_by_row(entries)
    return {
        links.rows[key(row)].removeprefix("oz-page:"): (
            title(row, table),
            row_page(row, table, by_row, links),
        )
        for table in boards
        for row in table.rows
    }


def _files(entries: Sequence[Entry]) -> list[Path]:
    """Return the result files and predictions."""
    files = []
    for entry in entries:
        path, predictions = entry.result.path, entry.result.predictions
        if path is not None:
            files.append(path)
            if predictions is not None:
                files.append(path.parent / predictions.file)
    return files


def _is_published(entries: Sequence[Entry]) -> bool:
    """Return whether all results are the published ones."""
    try:
        folder = published_folder()
    except ResultError:
        return False
    paths = [entry.result.path for entry in entries]
    return all(path is not None and path.resolve().parent == folder.resolve() for path in paths)


def _json(boards: Sequence[Table]) -> str:
    """Return the document that ``oraclezoo leaderboard --json`` writes."""
    data = {"tables": [table.to_json() for table in boards]}
    document = {"schema": "oraclezoo/leaderboard/1", "data": data}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(boards: Sequence[Table]) -> str:
    return "".join(table.to_csv(header=table is boards[0]) for table in boards)
