"""``oraclezoo plugins new``: a plugin package to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from oraclezoo.cli._base import App, pass_app, say
from oraclezoo.errors import UsageError
from oraclezoo.scaffold import KINDS, Scaffolded, component, try_it, write


@click.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What it brings.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Where the package's folder is made.",
)
@pass_app
def command(app: App, name: str, kind: Scaffolded, folder: Path) -> None:
    """Write a package that brings one component: NAME is the distribution, e.g. my-scheduler.

    It installs, passes its tests and benches as it is.
    """
    short = component(name)
    if (kind, short) in app.registry and app.registry.get(kind, short).builtin:
        raise UsageError(
            f"'{short}' is a built-in {kind}, which its bare name would go on to mean; "
            "choose another name"
        )
    click.echo(write(name, kind, folder))
    say(f"next: pip install -e {folder / name}; oraclezoo plugins check {name}")
    say(f"then: {try_it(kind, name)}")
