"""``oraclezoo plugins new``: create a plugin package from a template."""

from __future__ import annotations

from pathlib import Path

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import App, emit_json, json_option, pass_app, say
from oraclezoo.cli._shared.examples import example
from oraclezoo.errors import UsageError, command_line
from oraclezoo.scaffold import KINDS, Scaffolded, component, try_it, write


@click.command("new", epilog=example("oraclezoo plugins new my-zoo --kind backbone"))
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="Kind of the component.")
@options.out("Parent folder of the new package.", ".")
@json_option
@pass_app
def command(app: App, name: str, kind: Scaffolded, out: str, as_json: bool) -> None:
    """Create a plugin package with one component. NAME is the distribution, e.g. my-scheduler.

    The package installs, passes its tests and can be benchmarked unchanged.
    """
    short = component(name)
    if (kind, short) in app.registry and app.registry.get(kind, short).builtin:
        raise UsageError(
            f"'{short}' is a built-in {kind}, which would shadow the new one; choose another name"
        )
    folder = write(name, kind, Path(out))
    if as_json:
        emit_json("oraclezoo/plugins-new/1", {"name": name, "kind": kind, "folder": str(folder)})
    else:
        click.echo(folder)
    say(f"next: {command_line('pip', 'install', '-e', folder)}; oraclezoo plugins check {name}")
    say(f"then: {try_it(kind, name)}")
