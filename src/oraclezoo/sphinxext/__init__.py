"""Sphinx extension that renders a leaderboard of committed results.

Add ``extensions = ["oraclezoo.sphinxext"]`` to ``conf.py``. On a page, pass folders or files of
results with paths relative to the page (or, with a leading slash, to the documentation root)::

    .. oraclezoo-leaderboard:: ../results
       :track: oracle-mnist-3k
       :division: closed
       :components: /zoo

Each row gets a separate page. ``components`` names a folder of the documentation with pages
``backbones/NAME``, ``optimizers/NAME`` and ``schedulers/NAME``, which rows then link to.

The pages work without JavaScript, load nothing from other hosts, and link to the results and to the
tables as JSON and CSV. Sphinx is not a dependency of oraclezoo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from oraclezoo._version import __version__
from oraclezoo.sphinxext import board

STATIC = Path(__file__).with_name("static")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.add_directive("oraclezoo-leaderboard", board.Leaderboard)
    app.add_node(
        board.leaderboard,
        html=(board.visit_html, board.leave),
        latex=(board.enter, board.leave),
        text=(board.enter, board.leave),
        man=(board.enter, board.leave),
        texinfo=(board.enter, board.leave),
    )
    app.connect("builder-inited", _static)
    app.connect("env-get-outdated", board.outdated)
    app.connect("html-collect-pages", board.row_pages)
    app.connect("html-page-context", board.add_assets, priority=400)  # before themes read the tree
    app.connect("build-finished", board.write_downloads)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}


def _static(app: Sphinx) -> None:
    app.config.html_static_path.append(str(STATIC))
