"""The drawing page inside the built documentation, if ONNX Runtime for browsers is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

FOLDER = "draw"
_LOG = logging.getLogger(__name__)


def drawing_page() -> str:
    """Return a link to the page, or a note that this build lacks it."""
    from oraclezoo.page.runtime import INSTALLED

    if not INSTALLED.is_dir():
        return "This build of the documentation does not contain the page.\n"
    target = f"../../{FOLDER}/index.html"
    return f'<p><a class="reference external" href="{target}">Open the page</a></p>\n'


def announce(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Link to the drawing page at the top of each page, if this build contains it."""
    from oraclezoo.page.runtime import INSTALLED

    if INSTALLED.is_dir() and "pathto" in context:
        target = context["pathto"](f"{FOLDER}/index.html", 1)
        context["theme_announcement"] = f'<a href="{target}">Draw a character</a> in your browser'


def write_drawing_page(app: Sphinx, exception: Exception | None) -> None:
    """Write the page with the bundled models into the built documentation."""
    if exception is not None or app.builder.format != "html":
        return
    from oraclezoo.page.runtime import INSTALLED, Runtime
    from oraclezoo.page.write import PageModel, write_page
    from oraclezoo.serving.listing import shipped
    from oraclezoo.serving.names import DEFAULT, locate

    if not INSTALLED.is_dir():
        _LOG.info("the drawing page is left out: 'nox -s page' was not run")
        return
    names = sorted(shipped(), key=lambda name: name != DEFAULT)
    models = [PageModel(name, locate(name), shipped()[name].summary) for name in names]
    write_page(Path(app.outdir, FOLDER), models, Runtime.open(), overwrite=True)
