"""``oraclezoo monitoring``: files for Prometheus and Grafana."""

from __future__ import annotations

from pathlib import Path

import click

from oraclezoo.cli._shared.app import emit_json, json_option, next_step
from oraclezoo.cli._shared.examples import example


@click.command(
    "monitoring", epilog=example("oraclezoo monitoring prometheus --target 127.0.0.1:8000")
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--target",
    default="127.0.0.1:8000",
    show_default=True,
    metavar="HOST:PORT",
    help="Server to scrape.",
)
@json_option
def command(folder: Path, target: str, as_json: bool) -> None:
    """Write alert rules for Prometheus and a dashboard for Grafana to FOLDER.

    They use the metrics that 'oraclezoo serve' reports at /metrics. prometheus.yml is a minimal
    configuration of Prometheus that scrapes one server and loads the rules.
    """
    from oraclezoo.watching.files import write

    paths = write(folder, target)
    if as_json:
        emit_json("oraclezoo/monitoring/1", {"files": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(path)
    next_step("serve")
