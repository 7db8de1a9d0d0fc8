"""What commands share: the registry, JSON and table output, completion of names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from oraclezoo.plugins.registry import Registry
    from oraclezoo.specs import Kind


class App:
    """What a command gets with ``@pass_app``: the global options and, when asked, the registry."""

    def __init__(self) -> None:
        self.debug = False
        self.strict = False

    @cached_property
    def registry(self) -> Registry:
        """The registry of this installation. With ``--strict`` a quarantine is a PluginError."""
        from oraclezoo.plugins.registry import build_registry

        with stdout_to_stderr():
            return build_registry(strict=self.strict)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Whatever plugins print meanwhile goes to stderr: stdout belongs to the command's result."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


pass_app = click.make_pass_decorator(App, ensure=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def emit_json(schema: str, data: Any) -> None:
    """Print the one document of a command to stdout: ``{"schema": schema, "data": data}``.

    ``schema`` is ``"oraclezoo/<what>/<version>"``. Raises ValueError for NaN and infinities, which
    JSON does not have.
    """
    import json

    click.echo(json.dumps({"schema": schema, "data": data}, indent=2, allow_nan=False))


def say(text: str) -> None:
    """A message to the user, on stderr."""
    click.echo(text, err=True)


def console_err() -> Console:
    """A Rich console on stderr, for progress and messages."""
    from rich.console import Console

    return Console(stderr=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; on a terminal the last one is cut to its width.

    Plain, since Rich's tables take as long to import as ``oraclezoo list`` may take.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    try:
        limit = os.get_terminal_size(1).columns
    except OSError:  # not a terminal
        limit = 0
    lines = []
    for row in (header, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        if 0 < limit < len(line):
            line = line[: limit - 1] + "…"
        lines.append(line)
    lines[0] = click.style(lines[0], bold=True)
    click.echo("\n".join(lines))  # at once: each call flushes


def complete_names(
    *kinds: Kind,
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Shell completion of an argument or option that names a component of one of ``kinds``."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from oraclezoo.plugins.registry import build_registry

        registry = build_registry()
        names = [name for kind in kinds for name in registry.names(kind)]
        return [name for name in names if name.startswith(incomplete)]

    return complete
