"""Command line of oraclezoo. Each command's module is imported only when the command runs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from oraclezoo._version import __version__
from oraclezoo.cli._shared.app import App
from oraclezoo.cli._shared.group import LazyGroup, Section

COMMANDS = {
    "list": (
        "oraclezoo.cli.list_:command",
        "List available components: backbones, optimizers, data sets, trackers, executors.",
    ),
    "plugins": ("oraclezoo.cli.plugins:command", "List plugins and their status."),
    "recipe": ("oraclezoo.cli.recipe:command", "List and show recipes."),
    "data": (
        "oraclezoo.cli.data:command",
        "List, download, generate, convert and inspect data sets.",
    ),
    "train": ("oraclezoo.cli.train:command", "Train one recipe with one seed."),
    "sweep": ("oraclezoo.cli.sweep:command", "Search a recipe's hyperparameters."),
    "evaluate": ("oraclezoo.cli.evaluate:command", "Evaluate a trained run on a split."),
    "plot": ("oraclezoo.cli.plot:command", "Plot a run's curves, errors and embedding."),
    "prune": ("oraclezoo.cli.prune:command", "Prune channels of a model; write a receipt."),
    "export": ("oraclezoo.cli.export:command", "Export a model to ONNX or .pt2; verify the file."),
    "quantize": (
        "oraclezoo.cli.quantize:command",
        "Convert a model to int8, fp16 or bf16; write a receipt.",
    ),
    "calibrate": (
        "oraclezoo.cli.calibrate:command",
        "Calibrate the probabilities of a model.",
    ),
    "compress": (
        "oraclezoo.cli.compress:command",
        "Search for the most accurate model within size and latency limits.",
    ),
    "receipt": ("oraclezoo.cli.receipt:command", "Show the receipts of a compressed model."),
    "bench": ("oraclezoo.cli.bench:command", "Benchmark recipes; print a leaderboard."),
    "job": ("oraclezoo.cli.job:command", "Prepare jobs for Kubernetes, Vertex AI and Cloud Run."),
    "predict": ("oraclezoo.cli.predict:command", "Classify images of characters."),
    "serve": ("oraclezoo.cli.serve:command", "Serve models and the drawing page over HTTP."),
    "page": ("oraclezoo.cli.page:command", "Write the drawing page to a folder."),
    "monitoring": (
        "oraclezoo.cli.monitoring:command",
        "Write alert rules and a dashboard for a server's metrics.",
    ),
    "models": ("oraclezoo.cli.models:command", "List, show and download trained models."),
    "drift": ("oraclezoo.cli.drift:command", "Detect drift from the training distribution."),
    "leaderboard": (
        "oraclezoo.cli.leaderboard:command",
        "Rank results, with confidence intervals and ties.",
    ),
    "reproduce": ("oraclezoo.cli.reproduce:command", "Reproduce a published result and compare."),
    "submit": ("oraclezoo.cli.submit:command", "Check results and prepare a pull request."),
    "completion": ("oraclezoo.cli.completion:command", "Print a shell completion script."),
    "help": ("oraclezoo.cli.help:command", "Show the help of a command."),
    "env": ("oraclezoo.cli.env:command", "Show versions, hardware and settings for a bug report."),
}
"""Import target and help line of each command, so that ``--help`` imports no command module."""

SECTIONS = (
    Section(
        "Use",
        ("predict", "serve", "page", "monitoring", "models", "drift"),
        "oraclezoo predict bone.jpg",
    ),
    Section(
        "Train",
        ("train", "sweep", "recipe", "evaluate", "plot"),
        "oraclezoo train default -s budget.epochs=20",
    ),
    Section(
        "Compare",
        ("bench", "job", "leaderboard", "reproduce", "submit"),
        "oraclezoo bench default tiny --seeds 5",
    ),
    Section(
        "Compress",
        ("prune", "export", "quantize", "calibrate", "compress", "receipt"),
        "oraclezoo compress runs/my-run --out small --size 0.3",
    ),
    Section("Data", ("data",), "oraclezoo data fetch"),
    Section(
        "Plugins and settings",
        ("list", "plugins", "env", "completion", "help"),
        "oraclezoo list backbones",
    ),
)
"""The commands in the order in which ``--help`` lists them."""


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    sections=SECTIONS,
    invoke_without_command=True,
    context_settings={
        "auto_envvar_prefix": "ORACLEZOO",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "color": False if os.environ.get("NO_COLOR") else None,
    },
)
@click.option("--debug", is_flag=True, help="Show the traceback on errors.")
@click.option("--strict", is_flag=True, help="Fail if a plugin is quarantined.")
@click.version_option(
    __version__, "-V", "--version", prog_name="oraclezoo", allow_from_autoenv=False
)
@click.pass_context
def cli(ctx: click.Context, debug: bool, strict: bool) -> None:
    """A model zoo and benchmark for oracle bone character recognition.

    Every option can be set by an environment variable, e.g. ORACLEZOO_STRICT or
    ORACLEZOO_LIST_JSON. Exit status: 0 success, 1 failure, 2 usage error, 3 limit
    exceeded or verification failed, 130 interrupted.
    """
    app = ctx.ensure_object(App)
    app.debug, app.strict = debug, strict
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line on ``argv`` (default ``sys.argv[1:]``) and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream replaced by a test or a notebook
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # or it is suppressed
    cli.main(args=argv, prog_name="oraclezoo")
    raise AssertionError("a click command always exits")
