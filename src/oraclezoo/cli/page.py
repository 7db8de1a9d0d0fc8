"""``oraclezoo page``: write the drawing page to a folder."""

from __future__ import annotations

from pathlib import Path

import click

from oraclezoo.cli._shared.app import App, complete_models, emit_json, json_option, pass_app, say
from oraclezoo.cli._shared.examples import example


@click.command("page", epilog=example("oraclezoo page public --model oraclenet_s"))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME|FOLDER",
    shell_complete=complete_models,
    help="Model to offer; repeatable, the first is the default.  [default: the bundled models]",
)
@click.option(
    "--runtime",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with the files of onnxruntime-web.  [default: where 'nox -s page' puts them]",
)
@click.option("--overwrite", is_flag=True, help="Replace a page in OUT.")
@json_option
@pass_app
def command(
    app: App,
    out: Path,
    models: tuple[str, ...],
    runtime: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the drawing page to OUT, for any file server.

    Visitors draw a character or open a picture, and the model reads it in their browser. The page
    loads nothing from other servers.
    """
    from oraclezoo.errors import command_line
    from oraclezoo.page.runtime import Runtime
    from oraclezoo.page.write import PageModel, page_name, write_page
    from oraclezoo.serving.listing import shipped
    from oraclezoo.serving.names import DEFAULT, locate

    bundled = shipped()
    names = models or (DEFAULT, *(name for name in bundled if name != DEFAULT))
    opened = Runtime.open(runtime)
    offered = [
        PageModel(
            page_name(name),
            locate(name, lambda: app.registry, say),
            bundled[name].summary if name in bundled else "",
        )
        for name in names
    ]
    write_page(out, offered, opened, overwrite=overwrite)
    if as_json:
        emit_json("oraclezoo/page/1", {"folder": str(out), "models": [m.name for m in offered]})
        return
    server = command_line("python", "-m", "http.server", "--directory", out)
    say(f"wrote {out}; next: {server}")
