"""The command line. Commands are found by name and imported when they are called."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from oraclezoo._version import __version__
from oraclezoo.cli._base import App
from oraclezoo.cli._group import LazyGroup

COMMANDS = {
    "list": (
        "oraclezoo.cli.list_:command",
        "List the components there are: backbones to trackers.",
    ),
    "plugins": ("oraclezoo.cli.plugins:command", "Show the plugins and how each one fared."),
    "recipe": ("oraclezoo.cli.recipe:command", "List and show recipes."),
    "data": ("oraclezoo.cli.data:command", "List, fetch, verify and preview data sets."),
    "train": ("oraclezoo.cli.train:command", "Train one recipe at one seed."),
    "sweep": ("oraclezoo.cli.sweep:command", "Train a recipe at many settings; find the best."),
    "evaluate": ("oraclezoo.cli.evaluate:command", "Score a trained run on a split."),
    "plot": ("oraclezoo.cli.plot:command", "Draw a run's curves, mistakes and embedding."),
    "prune": ("oraclezoo.cli.prune:command", "Take channels out of a model, with a receipt."),
    "export": ("oraclezoo.cli.export:command", "Write a model as ONNX or .pt2, checked."),
    "quantize": ("oraclezoo.cli.quantize:command", "Make a model int8 or fp16, with a receipt."),
    "compress": (
        "oraclezoo.cli.compress:command",
        "Search the steps for the best model within bounds.",
    ),
    "receipt": ("oraclezoo.cli.receipt:command", "Show what compression did to a model."),
    "bench": ("oraclezoo.cli.bench:command", "Train and measure recipes; print a leaderboard."),
    "predict": ("oraclezoo.cli.predict:command", "Read the characters on images."),
    "models": ("oraclezoo.cli.models:command", "List, show and fetch trained models."),
    "drift": ("oraclezoo.cli.drift:command", "Test whether images look like the training's."),
    "leaderboard": ("oraclezoo.cli.leaderboard:command", "Rank results and say what is a tie."),
    "reproduce": ("oraclezoo.cli.reproduce:command", "Run a result again and judge it."),
    "submit": ("oraclezoo.cli.submit:command", "Check results and write a pull request's files."),
    "env": ("oraclezoo.cli.env:command", "Show versions, hardware and settings for a report."),
}
"""Each command's target and its line in the help, which so needs no import."""


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    invoke_without_command=True,
    context_settings={
        "auto_envvar_prefix": "ORACLEZOO",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--strict", is_flag=True, help="Stop when a plugin is quarantined.")
@click.version_option(__version__, prog_name="oraclezoo", allow_from_autoenv=False)
@click.pass_context
def cli(ctx: click.Context, debug: bool, strict: bool) -> None:
    """A model zoo and benchmark for reading oracle bone characters.

    Every option has an environment variable, e.g. ORACLEZOO_STRICT or ORACLEZOO_LIST_JSON.
    Exit status: 0 done, 1 failed, 2 wrong usage, 3 a gate or verification not met,
    130 interrupted.
    """
    app = ctx.ensure_object(App)
    app.debug, app.strict = debug, strict
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line on ``argv`` (``sys.argv[1:]``) and raise SystemExit with its status."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream that a test or notebook put there
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # or it is suppressed
    cli.main(args=argv, prog_name="oraclezoo")
    raise AssertionError("a click command always exits")
