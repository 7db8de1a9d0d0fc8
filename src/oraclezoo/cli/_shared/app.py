"""Shared parts of commands: application state, JSON and table output, name completion."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from oraclezoo.plugins.registry import Registry
    from oraclezoo.specs import Kind


class App:
    """Application state passed by ``@pass_app``: the global options and the registry."""

    def __init__(self) -> None:
        self.debug = False
        self.strict = False
        self.quiet = False

    @cached_property
    def registry(self) -> Registry:
        """Registry of this installation; raises PluginError for ``--strict`` and a quarantine."""
        from oraclezoo.plugins.registry import build_registry

        with stdout_to_stderr():
            return build_registry(strict=self.strict)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect output of plugins and libraries to stderr; stdout is only for the result."""
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
    """Print ``{"schema": schema, "data": data}``, a command's only output to stdout.

    Args:
        schema: ``"oraclezoo/<document>/<version>"``.
        data: JSON-serializable value.

    Raises:
        ValueError: ``data`` contains NaN or infinity, which JSON cannot represent.
    """
    import json

    click.echo(json.dumps({"schema": schema, "data": data}, indent=2, allow_nan=False))


def say(text: str) -> None:
    """Print a message to stderr, unless ``--quiet`` is given."""
    if not is_quiet():
        say_error(text)


def say_error(text: str) -> None:
    """Print an error to stderr, also with ``--quiet``; do nothing if its terminal was closed."""
    click.echo(text, file=stderr())


def next_step(*words: object) -> None:
    """Print a command that a user might run next as the last line of a command's messages.

    Args:
        words: Arguments of the command, without ``oraclezoo``; they are quoted where necessary.
    """
    from oraclezoo.errors import command_line

    say(click.style(f"next: {command_line('oraclezoo', *words)}", dim=True))


def is_quiet() -> bool:
    """Return whether the running command was given ``--quiet``."""
    ctx = click.get_current_context(silent=True)
    app = None if ctx is None else ctx.find_object(App)
    return app is not None and app.quiet


def stderr() -> IO[str]:
    """Return standard error, as a stream that ignores writes to a closed terminal."""
    return cast("IO[str]", _Closable(sys.stderr))


class _Closable:
    """A stream that ignores writes to a closed terminal, so that the signal ends the command.

    The system fails such writes with EIO, perhaps before Python has handled SIGHUP.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _ignoring_closed_terminal():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with _ignoring_closed_terminal():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _ignoring_closed_terminal() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; on a terminal, wrap the widest ones so that nothing is cut.

    This avoids Rich, whose table modules take as long to import as ``oraclezoo list`` may run.
    """
    widths = _widths(header, rows, terminal_columns())
    lines = []
    for row in (header, *rows):
        cells = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for number in range(max(map(len, cells))):
            parts = [
                (cell[number] if number < len(cell) else "").ljust(width)
                for cell, width in zip(cells, widths, strict=True)
            ]
            lines.append("  ".join(parts).rstrip())
        if row is header:
            lines = [click.style(line, bold=True) for line in lines]
    click.echo("\n".join(lines))  # a single call, since each one flushes


def wrapped(text: str) -> str:
    """Return text whose long lines are wrapped at words, if standard output is a terminal.

    The rest of a line is indented two columns more than its beginning.
    """
    columns = terminal_columns()
    if columns is None:
        return text
    import textwrap
    import unicodedata

    lines = []
    for line in text.split("\n"):
        # a Chinese character takes two columns
        width = columns - sum(unicodedata.east_asian_width(c) in "WF" for c in line)
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        long = len(click.unstyle(line)) > width
        lines += (
            textwrap.wrap(
                line,
                width,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
            if long
            else [line]
        )
    return "\n".join(lines)


def terminal_columns() -> int | None:
    """Return the terminal width of standard output, or None if it is not a terminal."""
    try:
        return os.get_terminal_size(1).columns or None
    except OSError:
        return None


def _widths(header: Sequence[str], rows: Sequence[Sequence[str]], limit: int | None) -> list[int]:
    """Return the width of each column: that of its content, or less if ``limit`` is exceeded.

    The widest columns are narrowed first. A column stays as wide as its longest word, if possible.
    """
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    if limit is None:
        return widths
    words = [
        max((len(word) for cell in column for word in cell.split()), default=0)
        for column in columns
    ]
    least = [min(width, max(word, _LEAST)) for width, word in zip(widths, words, strict=True)]
    for floor in (least, [min(width, _LEAST) for width in widths]):
        while sum(widths) + 2 * (len(widths) - 1) > limit:
            wide = [i for i, width in enumerate(widths) if width > floor[i]]
            if not wide:
                break
            widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


_LEAST = 8
"""Narrowest column that is wrapped."""


def _wrapped(cell: str, width: int) -> list[str]:
    if len(cell) <= width:
        return [cell]
    import textwrap

    return textwrap.wrap(cell, max(1, width), break_on_hyphens=False) or [""]


def complete_names(
    *kinds: Kind,
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a shell completion function for the names of components of ``kinds``."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from oraclezoo.plugins.registry import build_registry

        registry = build_registry()
        names = [name for kind in kinds for name in registry.names(kind)]
        return [name for name in names if name.startswith(incomplete)]

    return complete


def complete_recipes(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete bundled recipes, recipes of a bundled suite after a slash, or files.

    bash drops the names if there is an item for files beside them.
    """
    from click.shell_completion import CompletionItem

    from oraclezoo.recipe import shipped
    from oraclezoo.recipe.suite import Suite
    from oraclezoo.recipe.suite import shipped as suites

    suite, slash, _ = incomplete.partition("/")
    names = shipped()
    if slash and suite in suites():
        names = [name for name in Suite.load(suite).recipes if "/" in name]
    items = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return items or [CompletionItem(incomplete, type="file")]


def complete_suites(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the names of bundled suites."""
    from oraclezoo.recipe.suite import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


def complete_models(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete model names, or folders if no name fits."""
    from click.shell_completion import CompletionItem

    names = complete_names("model")(ctx, parameter, incomplete)
    return [*map(CompletionItem, names)] or [CompletionItem(incomplete, type="dir")]


def complete_results(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete ids of published results, or files if none fits."""
    from click.shell_completion import CompletionItem

    from oraclezoo.errors import ResultError
    from oraclezoo.ranking.load import published_folder

    try:
        ids = sorted(path.stem for path in published_folder().glob("*.json"))
    except ResultError:
        ids = []
    items = [CompletionItem(name) for name in ids if name.startswith(incomplete)]
    return items or [CompletionItem(incomplete, type="file")]
