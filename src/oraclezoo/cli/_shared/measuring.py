"""Options of commands that compress a model and compare it with the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.cli._shared import options

F = TypeVar("F", bound=Callable[..., Any])


def measuring(function: F) -> F:
    """Add the options for evaluation data and timing."""
    return options.combine(
        options.split("Split to evaluate on; a test-set evaluation is recorded in the ledger."),
        options.results,
        click.option(
            "--timed/--no-timed", default=True, show_default=True, help="Measure latency."
        ),
        options.rounds("Timing rounds; original and new model alternate in each."),
        click.option(
            "--at",
            "settings",
            multiple=True,
            metavar="BATCH:THREADS",
            help="Batch size and threads for timing; repeatable.  "
            "[default: 1:1, and 256 on all cores]",
        ),
    )(function)


def gates(function: F) -> F:
    """Add ``--max-drop`` and ``--max-limit``."""
    return options.combine(
        click.option(
            "--max-drop",
            type=click.FloatRange(min=0),
            metavar="POINTS",
            help="Maximum drop in accuracy; if exceeded, exit with status 3 and write no model.",
        ),
        click.option(
            "--max-limit",
            type=click.FloatRange(min=0),
            metavar="POINTS",
            help="Maximum for the upper 95% confidence limit of the drop; same effect.",
        ),
    )(function)


def parse_settings(texts: tuple[str, ...]) -> list[tuple[int, int]] | None:
    """Parse ``8:2`` into pairs (batch size, threads); None if empty. Raises BadParameter."""
    settings = []
    for text in texts:
        batch, _, threads = text.partition(":")
        if not (batch.isdecimal() and threads.isdecimal() and int(batch) and int(threads)):
            raise click.BadParameter(
                f"'{text}' is not BATCH:THREADS, e.g. 256:2", param_hint="--at"
            )
        settings.append((int(batch), int(threads)))
    return settings or None
