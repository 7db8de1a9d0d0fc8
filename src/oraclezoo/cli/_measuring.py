"""Options of the commands that change a model and measure it before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.cli._options import together

F = TypeVar("F", bound=Callable[..., Any])


def measuring(function: F) -> F:
    """Where the images come from, which are used, and how times are taken."""
    return together(
        click.option(
            "--split",
            type=click.Choice(["validation", "test"]),
            default="validation",
            show_default=True,
            help="Images that the receipt is made on; test is noted in the ledger.",
        ),
        click.option("--results", default="results", show_default=True, help="Ledger's folder."),
        click.option(
            "--timed/--no-timed", default=True, show_default=True, help="Take times as well."
        ),
        click.option(
            "--rounds",
            type=click.IntRange(min=1),
            default=3,
            show_default=True,
            help="Times are taken before, after, before, after, ...; so many of each.",
        ),
        click.option(
            "--at",
            "settings",
            multiple=True,
            metavar="BATCH:THREADS",
            help="A setting to take times at; may be repeated. Else 1:1 and 256 on all cores.",
        ),
    )(function)


def gates(function: F) -> F:
    """``--max-drop`` and ``--max-limit``."""
    return together(
        click.option(
            "--max-drop",
            type=click.FloatRange(min=0),
            metavar="POINTS",
            help="Exit with 3 and write nothing if accuracy falls by more.",
        ),
        click.option(
            "--max-limit",
            type=click.FloatRange(min=0),
            metavar="POINTS",
            help="The same for the one-sided 95% limit of the loss.",
        ),
    )(function)


def parse_settings(given: tuple[str, ...]) -> list[tuple[int, int]] | None:
    """Pairs of batch size and threads from ``8:2``; None without any. Raises BadParameter."""
    found = []
    for text in given:
        batch, _, threads = text.partition(":")
        if not (batch.isdecimal() and threads.isdecimal() and int(batch) and int(threads)):
            raise click.BadParameter(
                f"'{text}' is not BATCH:THREADS, e.g. 256:2", param_hint="--at"
            )
        found.append((int(batch), int(threads)))
    return found or None
