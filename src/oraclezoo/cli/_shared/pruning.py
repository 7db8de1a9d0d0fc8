"""Options of commands that prune and fine-tune a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.choices import IMPORTANCES, SCOPES
from oraclezoo.cli._shared.app import complete_recipes
from oraclezoo.cli._shared.options import combine

F = TypeVar("F", bound=Callable[..., Any])


def pruning(function: F) -> F:
    """Add the options for channel selection and fine-tuning."""
    return combine(
        click.option(
            "--importance",
            type=click.Choice(IMPORTANCES),
            default="taylor",
            show_default=True,
            help="Channel importance measure; random is a baseline.",
        ),
        click.option(
            "--scope",
            type=click.Choice(SCOPES),
            help="Rank channels within each layer (same ratio everywhere), across all layers, or "
            "across structurally identical layers.  [default: uniform; isomorphic for "
            "transformers]",
        ),
        click.option(
            "--round-to",
            type=click.IntRange(min=1),
            default=8,
            show_default=True,
            metavar="N",
            help="Round each layer's channel count to a multiple of N.",
        ),
        click.option(
            "--steps",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Number of pruning and fine-tuning rounds.",
        ),
        click.option(
            "--epochs",
            type=click.IntRange(min=0),
            default=10,
            show_default=True,
            help="Total epochs of fine-tuning with the model's recipe.",
        ),
        click.option(
            "--lr-scale",
            type=click.FloatRange(min=0, min_open=True),
            default=1.0,
            show_default=True,
            help="Multiplier for the recipe's learning rates in fine-tuning; they decay linearly.",
        ),
        click.option(
            "--distill",
            type=click.FloatRange(min=0, max=1),
            default=0.0,
            show_default=True,
            metavar="WEIGHT",
            help="Weight of distillation from the unpruned model in the fine-tuning loss.",
        ),
        click.option(
            "--temperature",
            type=click.FloatRange(min=0.1, max=100),
            default=2.0,
            show_default=True,
            help="Softmax temperature of distillation.",
        ),
        click.option(
            "--recipe",
            metavar="RECIPE",
            shell_complete=complete_recipes,
            help="Recipe for fine-tuning if the model folder has none.",
        ),
    )(function)
