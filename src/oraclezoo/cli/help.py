"""``oraclezoo help``: the help of a command, as ``--help`` prints it."""

from __future__ import annotations

import click

from oraclezoo.cli._shared.examples import example
from oraclezoo.errors import UnknownNameError


def _complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    parent = ctx.find_root()
    for name in ctx.params.get("names") or ():
        group = parent.command
        command = group.get_command(parent, name) if isinstance(group, click.Group) else None
        if command is None:
            return []
        parent = command.context_class(command, parent=parent, info_name=name)
    group = parent.command
    names = group.list_commands(parent) if isinstance(group, click.Group) else []
    return [name for name in names if name.startswith(incomplete)]


@click.command("help", epilog=example("oraclezoo help data convert"))
@click.argument("names", nargs=-1, metavar="[COMMAND]...", shell_complete=_complete)
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of a command, such as 'oraclezoo help data convert'."""
    parent = ctx.find_root()
    for name in names:
        group = parent.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"'{parent.command_path}' has no subcommands")
        subcommand = group.get_command(parent, name)
        if subcommand is None:
            raise UnknownNameError("command", name, group.list_commands(parent))
        parent = subcommand.context_class(subcommand, parent=parent, info_name=name)
    click.echo(parent.command.get_help(parent))
