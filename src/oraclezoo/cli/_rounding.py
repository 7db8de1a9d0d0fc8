"""Options of the commands that quantize a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.choices import AUTO, CALIBRATIONS, SENSITIVITIES
from oraclezoo.cli._options import together

F = TypeVar("F", bound=Callable[..., Any])


def rounding(function: F) -> F:
    """``--calibration`` and ``--sensitivity``."""
    return together(
        click.option(
            "--calibration",
            type=click.Choice([AUTO, *CALIBRATIONS]),
            default="auto",
            show_default=True,
            help="How an activation's range follows from what was seen; auto: the best of them.",
        ),
        click.option(
            "--sensitivity",
            type=click.Choice(SENSITIVITIES),
            default="auto",
            show_default=True,
            help="Scan layer by layer: where int8 costs too much, always, or never.",
        ),
    )(function)
