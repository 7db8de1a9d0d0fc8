"""Options of commands that quantize a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.choices import AUTO, CALIBRATIONS, SENSITIVITIES
from oraclezoo.cli._shared.options import combine

F = TypeVar("F", bound=Callable[..., Any])


def quantizing(function: F) -> F:
    """Add ``--calibration`` and ``--sensitivity``."""
    return combine(
        click.option(
            "--calibration",
            type=click.Choice([AUTO, *CALIBRATIONS]),
            default="auto",
            show_default=True,
            help="Calibration method for activation ranges; auto tries all and keeps the best.",
        ),
        click.option(
            "--sensitivity",
            type=click.Choice(SENSITIVITIES),
            default="auto",
            show_default=True,
            help="When to scan layers for int8 sensitivity; auto: if the divergence is too large.",
        ),
    )(function)
