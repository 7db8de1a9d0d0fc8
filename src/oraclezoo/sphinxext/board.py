"""The leaderboard directive, its document node and its downloadable files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

from oraclezoo.errors import OracleZooError
from oraclezoo.ranking.load import load_results
from oraclezoo.ranking.page.board import board
from oraclezoo.ranking.table import Table, tables

if TYPE_CHECKING:
    from sphinx.environment import BuildEnvironment
    from sphinx.writers.html5 import HTML5Translator

FOLDER = "_static/oraclezoo"
"""Folder for downloadable files in the built site."""
KIND = "oraclezoo_leaderboards"
"""Metadata key for the number of leaderboards on a page."""


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
            marked = {title: f"{FOLDER}/{file}" for title, file in names.items()}
            html = board(entries, downloads=marked, **filters)
        except OracleZooError as error:
            raise self.error(str(error)) from error
        text = "\n".join(table.to_markdown() for table in boards)
        child = nodes.literal_block(text, text, language="none")
        return [leaderboard("", child, html=html, files=files)]

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
    page = builder.get_target_uri(builder.current_docname)
    html = re.sub(
        rf'(?<=href="){FOLDER}/([^"]+)',
        lambda match: relative_uri(page, match[0]),
        node["html"],
    )
    translator.body.append(html)
    raise nodes.SkipNode


def enter(translator: nodes.NodeVisitor, node: leaderboard) -> None:
    """Do nothing: other builders render the children of the node, i.e. the tables as text."""


def leave(translator: nodes.NodeVisitor, node: leaderboard) -> None:
    """Do nothing."""


def add_assets(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add the stylesheet and script to pages with a leaderboard."""
    if doctree is not None and any(doctree.findall(leaderboard)):
        app.add_css_file("oraclezoo-leaderboard.css")
        app.add_js_file("oraclezoo-leaderboard.js", loading_method="defer")


def write_downloads(app: Sphinx, exception: Exception | None) -> None:
    """Write the files with the downloadable tables of each leaderboard."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / FOLDER
    for name, data in sorted(app.env.metadata.items()):
        if not data.get(KIND):
            continue
        for node in app.env.get_doctree(name).findall(leaderboard):
            folder.mkdir(parents=True, exist_ok=True)
            for file, text in node["files"].items():
                (folder / file).write_text(text, encoding="utf-8", newline="\n")


def _json(boards: Sequence[Table]) -> str:
    """Return the document that ``oraclezoo leaderboard --json`` writes."""
    data = {"tables": [table.to_json() for table in boards]}
    document = {"schema": "oraclezoo/leaderboard/1", "data": data}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(boards: Sequence[Table]) -> str:
    return "".join(table.to_csv(header=table is boards[0]) for table in boards)
