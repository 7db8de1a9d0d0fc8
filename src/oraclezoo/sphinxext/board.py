"""Board: the directive, its place in a page, and the files to download beside it."""

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
"""Where a built site keeps what is to be downloaded."""
KIND = "oraclezoo_leaderboards"
"""The document metadata that says how many boards a page has."""


class leaderboard(nodes.General, nodes.Element):  # noqa: N801  # docutils names nodes so
    """A leaderboard; its children are what builders other than HTML show."""


class Leaderboard(SphinxDirective):
    """``oraclezoo-leaderboard``: tables made of the results in folders and files."""

    required_arguments = 1
    optional_arguments = 1000
    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {
        "track": directives.unchanged_required,
        "division": lambda given: directives.choice(given, ("closed", "open")),
    }

    def run(self) -> list[nodes.Node]:
        """The node; an error that names file and fault where results cannot be read."""
        sources = [self._path(given) for given in self.arguments]
        self._depend(sources)  # before they are read: a page with a fault is read anew too
        number = self.env.metadata[self.env.docname].get(KIND, 0) + 1
        self.env.metadata[self.env.docname][KIND] = number
        chosen = {name: self.options.get(name) for name in ("track", "division")}
        try:
            entries = load_results(sources)
            made = tables(entries, **chosen)
            name = f"{self.env.docname.replace('/', '-')}-{number}"
            files = {f"{name}.json": _json(made), f"{name}.csv": _csv(made)}
            names = {f"the tables as {file.rpartition('.')[2].upper()}": file for file in files}
            marked = {title: f"{FOLDER}/{file}" for title, file in names.items()}
            html = board(entries, downloads=marked, **chosen)
        except OracleZooError as error:
            raise self.error(str(error)) from error
        text = "\n".join(table.to_markdown() for table in made)
        child = nodes.literal_block(text, text, language="none")
        return [leaderboard("", child, html=html, files=files)]

    def _path(self, given: str) -> Path:
        _, path = self.env.relfn2path(given)
        return Path(path)

    def _depend(self, sources: Sequence[Path]) -> None:
        for source in sources:
            for path in sorted(source.iterdir()) if source.is_dir() else [source]:
                self.env.note_dependency(str(path))


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Read pages with a board anew at each build: a result may have come since."""
    return [name for name, data in env.metadata.items() if data.get(KIND) and name not in removed]


def visit_html(translator: HTML5Translator, node: leaderboard) -> None:
    """The HTML made from results, with links as seen from this page."""
    builder = translator.builder
    here = builder.get_target_uri(builder.current_docname)
    html = re.sub(
        rf'(?<=href="){FOLDER}/([^"]+)',
        lambda found: relative_uri(here, found[0]),
        node["html"],
    )
    translator.body.append(html)
    raise nodes.SkipNode


def enter(translator: nodes.NodeVisitor, node: leaderboard) -> None:
    """Other builders show the tables as text: the node's children."""


def leave(translator: nodes.NodeVisitor, node: leaderboard) -> None:
    """Nothing is left to do."""


def add_assets(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """The page's style and script, on pages with a board only."""
    if doctree is not None and any(doctree.findall(leaderboard)):
        app.add_css_file("oraclezoo-leaderboard.css")
        app.add_js_file("oraclezoo-leaderboard.js", loading_method="defer")


def write_downloads(app: Sphinx, exception: Exception | None) -> None:
    """Write each board's tables where its page links to."""
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


def _json(made: Sequence[Table]) -> str:
    """The document that ``oraclezoo leaderboard --json`` prints."""
    data = {"tables": [table.to_json() for table in made]}
    document = {"schema": "oraclezoo/leaderboard/1", "data": data}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(made: Sequence[Table]) -> str:
    return "".join(table.to_csv(header=table is made[0]) for table in made)
