"""``oraclezoo completion``: print the completion script for a shell."""

from __future__ import annotations

import click

from oraclezoo.cli._shared.examples import example

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    epilog=example(
        "oraclezoo completion bash > ~/.local/share/bash-completion/completions/oraclezoo",
        'oraclezoo completion zsh > "${fpath[1]}/_oraclezoo"',
        "oraclezoo completion fish > ~/.config/fish/completions/oraclezoo.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL, for commands, options and names."""
    from click.shell_completion import get_completion_class

    from oraclezoo.cli._shared.shell import register

    register()
    completion = get_completion_class(shell)
    assert completion is not None  # the choices are click's shells
    root = ctx.find_root().command
    click.echo(completion(root, {}, "oraclezoo", "_ORACLEZOO_COMPLETE").source())
