"""Command group that imports commands on demand and maps errors to exit statuses."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from oraclezoo.cli._shared.app import App, say_error
from oraclezoo.errors import OracleZooError, nearest
from oraclezoo.signals import handling, interrupt
from oraclezoo.storage import DISK_ERRORS

RENAMED_OPTIONS = {
    "--fresh": "--overwrite",
    "--at-once": "--jobs",
    "--dest": "--out",
    "--folder": "--out",
}
"""Options of version 0.1 and their current names, for error messages."""

_WRITERS = ("click", "rich")
"""Libraries that write to stdout; an OSError from any other module is about a file."""


@dataclass(frozen=True, slots=True)
class Section:
    """Commands that ``--help`` lists in one table, and an example of one of them."""

    title: str
    commands: tuple[str, ...]
    example: str


class HelpFormatter(click.HelpFormatter):
    """Help with color: headings are bold, names of commands and options cyan."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line."""
        super().write_usage(prog, args, click.style(prefix or "Usage:", bold=True) + " ")

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        super().write_heading(click.style(heading, bold=True))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write a list of names and descriptions."""
        colored = [(click.style(name, fg="cyan"), text) for name, text in rows]
        super().write_dl(colored, col_max, col_spacing)


class HelpContext(click.Context):
    """Context of a command whose help has color."""

    formatter_class = HelpFormatter


def _with_color(command: click.Command) -> click.Command:
    """Return ``command`` with help in color, also for its subcommands."""
    command.context_class = HelpContext
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            _with_color(subcommand)
    return command


class LazyGroup(click.Group):
    """Group of commands declared as name -> (``"module:attribute"``, help line)."""

    context_class = HelpContext

    def __init__(
        self,
        *args: Any,
        targets: Mapping[str, tuple[str, str]],
        sections: Sequence[Section] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.targets = targets
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in declaration order."""
        return list(self.targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if the name is unknown."""
        if cmd_name not in self.targets:
            return None
        module, _, attribute = self.targets[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return _with_color(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of ``args[0]``. Raises UsageError that suggests similar names."""
        name = args[0]
        if name not in self.targets and not ctx.resilient_parsing:
            raise click.UsageError(f"unknown command '{name}'{nearest(name, self.targets)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a SystemExit comes from a component, as click uses its own exceptions."""
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error.__context__, BrokenPipeError):  # Rich exits if nobody reads
                raise error.__context__ from None
            raise _named(error) or OracleZooError(
                f"a component raises {type(error).__name__}: {error}"
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the tables of commands without importing any."""
        width = max(map(len, self.targets))  # aligns the tables of all sections
        for section in self.sections or (Section("Commands", tuple(self.targets), ""),):
            rows = [(name.ljust(width), self.targets[name][1]) for name in section.commands]
            with formatter.section(section.title):
                formatter.write_dl(rows)
                if section.example:
                    formatter.write_text(click.style(f"$ {section.example}", dim=True))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit. An error prints one or two lines to stderr and sets the exit status."""
        app = extra.setdefault("obj", App())
        words = sys.argv[1:] if args is None else list(args)
        if "_ORACLEZOO_COMPLETE" in os.environ:
            from oraclezoo.cli._shared.shell import register

            register()
        try:
            with handling(interrupt):
                result = super().main(
                    args=args,
                    prog_name=prog_name,
                    complete_var=complete_var,
                    standalone_mode=False,
                    windows_expand_args=windows_expand_args,
                    **extra,
                )
            sys.stdout.flush()  # raises BrokenPipeError here, where it can still be handled
        except Exception as error:
            if not standalone_mode:
                raise
            status = _report(error, app.debug, words)
        except KeyboardInterrupt:  # raised outside click's own handling
            status = 130
        else:
            if not standalone_mode:
                return result
            status = result if isinstance(result, int) else 0
        sys.exit(status)


def _report(error: Exception, debug: bool, words: Sequence[str] = ()) -> int:
    """Print the error message and return the exit status; ``words`` is the command line."""
    if isinstance(error, BrokenPipeError):  # the reader closed the pipe: exit silently
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OracleZooError):
        message, status = str(error), error.exit_code
    elif isinstance(error, click.Abort):
        message, status = "interrupted", 130
    elif isinstance(error, click.UsageError):
        return _report_usage(error, words)
    elif isinstance(error, click.ClickException):
        message, status = error.format_message(), error.exit_code
    elif isinstance(error, OSError) and error.strerror:
        where = error.filename or ("standard output" if _of_output(error) else "")
        message, status = f"{where}: {error.strerror}" if where else error.strerror, 1
    else:
        named = _named(error)
        if named is not None:
            return _report(named, debug=False)
        text = " ".join(str(error).split())
        advice = "" if debug else "; run 'oraclezoo --debug ...' for the traceback"
        message, status = f"unexpected {type(error).__name__}: {text}{advice}", 1
    say_error(f"oraclezoo: {message}")
    return status


def _of_output(error: OSError) -> bool:
    """Return whether writing to standard output raised ``error``; if so, discard the rest."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    writes = place == __name__ or place.partition(".")[0] in _WRITERS
    if error.errno not in DISK_ERRORS or not writes:
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _named(error: BaseException) -> OracleZooError | None:
    """Return the error that names the plugin whose code raised ``error``, if it is one."""
    from oraclezoo.plugins.blame import blamed
    from oraclezoo.plugins.registry import build_registry

    return blamed(error, build_registry())


def _usage_text(error: click.UsageError, words: Sequence[str]) -> str:
    """Return click's message, with the option or recipe key to use for an unknown option."""
    text = error.format_message()
    if error.ctx is None:
        return text
    options = {name for parameter in error.ctx.command.params for name in parameter.opts}
    if isinstance(error, click.NoSuchOption):
        current = RENAMED_OPTIONS.get(error.option_name)
        if current in options:
            return f"No such option '{error.option_name}'. Use '{current}'."
        if "-s" in options and (keys := recipe_keys(error.option_name, words)):
            return f"No such option '{error.option_name}'. Use {' or '.join(keys)}."
    elif "unexpected extra argument" in text and "--out" in options:
        return f"{text}. Choose the output with '--out'."
    return text


def recipe_keys(option: str, words: Sequence[str] = ()) -> list[str]:
    """Return ``-s`` options with the recipe keys that an unknown option resembles, best first.

    Args:
        option: Name of the option, such as ``--epoch``.
        words: Command line; the value that it gives to the option is repeated.

    Example:
        >>> recipe_keys("--epoch", ["train", "--epoch", "3"])
        ["'-s budget.epochs=3'"]
    """
    from oraclezoo.recipe.near import near_keys

    value = _value(option, words)
    return [f"'-s {key}={value}'" for key in near_keys(option.lstrip("-").replace("-", "_"))]


def _value(option: str, words: Sequence[str]) -> str:
    """Return the word that follows ``option``, or three dots if it has no value."""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        if name == option:
            text = value if equals else following
            return text if text and not text.startswith("--") else "..."
    return "..."


def _report_usage(error: click.UsageError, words: Sequence[str]) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # a group without a command: click prints its help
        return error.exit_code
    say_error(f"oraclezoo: {_usage_text(error, words)}")
    if error.ctx is not None:
        say_error(f"try '{error.ctx.command_path} --help'")
    return error.exit_code
