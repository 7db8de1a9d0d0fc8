"""Options of commands that quantize a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.cli._options import combine

F = TypeVar("F", bound=Callable[..., Any])


def rounding(function: F) -> F:
    """Add ``--calibration`` and ``--sensitivity``."""
    return combine(
        click.option(
            "--calibration",
            type=click.Choice(["auto", "minmax", "entropy", "percentile"]),
            default="auto",
            show_default=True,
            help="Calibration method for activation ranges; auto tries all and keeps the best.",
        ),
        click.option(
            "--sensitivity",
            type=click.Choice(["auto", "always", "off"]),
            default="auto",
            show_default=True,
            help="Scan layers for int8 sensitivity: if divergence is too large, always, never.",
        ),
    )(function)
