"""Options of the commands that prune a model and fine-tune what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.choices import IMPORTANCES, SCOPES
from oraclezoo.cli._options import together

F = TypeVar("F", bound=Callable[..., Any])


def pruning(function: F) -> F:
    """Which channels go, and how what is left is fine-tuned."""
    return together(
        click.option(
            "--importance",
            type=click.Choice(IMPORTANCES),
            default="taylor",
            show_default=True,
            help="What channels are ranked by; random is the control.",
        ),
        click.option(
            "--scope",
            type=click.Choice(SCOPES),
            help="Rank within each layer (the same share of all), over all layers, or over "
            "layers of the same build. [default: uniform; of transformers isomorphic]",
        ),
        click.option(
            "--round-to",
            type=click.IntRange(min=1),
            default=8,
            show_default=True,
            help="Layers keep multiples of so many channels.",
        ),
        click.option(
            "--steps",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Prune and fine-tune so many times.",
        ),
        click.option(
            "--epochs",
            type=click.IntRange(min=0),
            default=10,
            show_default=True,
            help="Fine-tuning in all, by the model's own recipe.",
        ),
        click.option(
            "--lr-scale",
            type=click.FloatRange(min=0, min_open=True),
            default=1.0,
            show_default=True,
            help="Fine-tune by the recipe's learning rates times this, falling linearly.",
        ),
        click.option(
            "--distill",
            type=click.FloatRange(min=0, max=1),
            default=0.0,
            show_default=True,
            metavar="SHARE",
            help="Share of the loss that goes by the unpruned model's labels.",
        ),
        click.option(
            "--temperature",
            type=click.FloatRange(min=0.1, max=100),
            default=2.0,
            show_default=True,
            help="Divides the logits of both before they are compared.",
        ),
        click.option(
            "--recipe",
            metavar="RECIPE",
            help="To fine-tune by, for a model folder that does not tell its own.",
        ),
    )(function)
