"""Command with subcommands beside its own arguments: ``bench RECIPES`` and ``bench status``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class DefaultCommand(click.Command):
    """Command whose first argument may be the name of a subcommand; otherwise it runs itself.

    It is not a :class:`click.Group`, whose arguments would consume the name of a subcommand.
    """

    def __init__(
        self, *args: Any, targets: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.targets = targets or {}
        """Subcommands by name: ``"module:attribute"`` and help line."""

    def subcommand(self, name: str) -> click.Command:
        """Import a subcommand. Raises KeyError."""
        module, _, attribute = self.targets[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return the context of the subcommand that ``args`` names, or of the command itself."""
        if args and args[0] in self.targets:
            command, prefix = self.subcommand(args[0]), parent and parent.auto_envvar_prefix
            if prefix:
                extra["auto_envvar_prefix"] = f"{prefix}_{info_name}_{args[0]}".upper()
            return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the subcommands."""
        super().format_options(ctx, formatter)
        with formatter.section("Subcommands"):
            formatter.write_dl(
                [(f"{ctx.info_name} {name}", text) for name, (_, text) in self.targets.items()]
            )
