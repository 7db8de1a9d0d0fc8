"""``oraclezoo serve``: an HTTP server for models."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from oraclezoo.cli._shared.app import App, complete_models, pass_app, say
from oraclezoo.cli._shared.examples import example


@click.command("serve", epilog=example("oraclezoo serve oraclenet_n --port 8000"))
@click.argument("models", nargs=-1, metavar="[MODEL]...", shell_complete=complete_models)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 or '::' for all networks.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    envvar=("ORACLEZOO_SERVE_PORT", "PORT"),
    default=8000,
    show_default=True,
    show_envvar=True,
    help="TCP port; 0 for a free one.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Threads that prepare images and run the model.  [default: one per core]",
)
@click.option(
    "--queue",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Maximum number of in-flight images per model; further requests get status 429.",
)
@click.option(
    "--max-images",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Images in one request.",
)
@click.option(
    "--max-body",
    type=click.IntRange(min=1, max=1024),
    default=16,
    show_default=True,
    metavar="MIB",
    help="Size of a request in MiB.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1, max=64_000_000),
    default=16_000_000,
    show_default=True,
    help="Pixels of an image.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds from the start of a request to its last prediction.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds to finish accepted requests in after SIGTERM or Ctrl-C.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Require the bearer token in this file.",
)
@click.option(
    "--cors-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Allow cross-origin requests (CORS) from this origin, e.g. https://a.org; repeatable.",
)
@click.option("--no-drift", is_flag=True, help="Do not watch the pictures for drift.")
@click.option(
    "--drift-rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Largest probability that drift detection ever gives a false alarm.",
)
@click.option(
    "--class-shares",
    default="baseline",
    show_default=True,
    metavar="SHARES",
    help="Expected shares of the predicted classes, e.g. 'big=0.2,sun=0.1'; or 'any'.",
)
@click.option("--no-access-log", is_flag=True, help="Do not log requests.")
@click.option("--openapi", is_flag=True, help="Print the OpenAPI document and exit.")
@pass_app
@click.pass_context
def command(
    ctx: click.Context,
    app: App,
    models: tuple[str, ...],
    host: str,
    port: int,
    threads: int | None,
    queue: int,
    max_images: int,
    max_body: int,
    max_pixels: int,
    timeout: float,
    grace: float,
    token_file: Path | None,
    origins: tuple[str, ...],
    no_drift: bool,
    drift_rate: float,
    class_shares: str,
    no_access_log: bool,
    openapi: bool,
) -> None:
    """Serve each MODEL over HTTP: names ('oraclezoo models list') or folders.

    The first MODEL (default: oraclenet_s) serves requests that name none. The server's own page
    /docs lists the routes. Its log goes to stderr, one JSON object per line.
    """
    _require_extra()
    for option in ("drift_rate", "class_shares"):
        if no_drift and ctx.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{option.replace('_', '-')} has no effect with --no-drift; pass one of them"
            )
    from oraclezoo.page.files import STATIC
    from oraclezoo.server.app import create_api, create_app
    from oraclezoo.server.models import open_models
    from oraclezoo.server.routes.monitoring import Monitor, Watching
    from oraclezoo.server.run import Address, serve
    from oraclezoo.server.service import Service
    from oraclezoo.server.settings import MIB, Settings, read_token, usable_cores
    from oraclezoo.serving.names import DEFAULT, locate

    settings = Settings(
        max_body=max_body * MIB,
        max_images=max_images,
        max_pixels=max_pixels,
        queue=queue,
        timeout=timeout,
        threads=threads or usable_cores(),
        token=read_token(token_file) if token_file else None,
        origins=origins,
        access_log=not no_access_log,
    )
    observer = Monitor(None if no_drift else Watching(drift_rate, class_shares))
    opened = open_models(
        models or (DEFAULT,),
        lambda name: locate(name, lambda: app.registry, say),
        settings,
        observer,
    )
    service = Service(opened, settings, observer)
    if openapi:
        import json

        click.echo(json.dumps(create_api(service).openapi(), indent=2))
        return
    complete = serve(create_app(service, page=STATIC), service, Address(host, port, grace))
    ctx.exit(0 if complete else 1)


def _require_extra() -> None:
    """Raise UsageError if the libraries of the extra are not installed."""
    from importlib.util import find_spec

    from oraclezoo.errors import UsageError

    missing = [
        name
        for name in ("fastapi", "prometheus_client", "python_multipart", "uvicorn")
        if find_spec(name) is None
    ]
    if missing:
        raise UsageError(
            f"the server needs {', '.join(missing)}\nInstall them: pip install 'oraclezoo[serve]'"
        )
