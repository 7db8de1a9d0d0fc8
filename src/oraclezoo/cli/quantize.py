"""``oraclezoo quantize``: a model with fewer bits."""

from __future__ import annotations

from typing import Any

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, json_option, pass_app, say, stdout_to_stderr
from oraclezoo.cli._measuring import gates, measuring, parse_settings
from oraclezoo.cli._rounding import rounding


@click.command("quantize")
@click.argument("model", type=click.Path(file_okay=False))
@click.argument("out", required=False, type=click.Path(file_okay=False))
@click.option("--precision", type=click.Choice(["int8", "fp16"]), default="int8", show_default=True)
@rounding
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    help="Training images to calibrate on.",
)
@click.option(
    "--max-divergence",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    metavar="NATS",
    help="Beyond it the most sensitive layers stay in float.",
)
@click.option(
    "--keep-float",
    multiple=True,
    metavar="PATTERN",
    help="Layers to leave in float by name, e.g. 'node_conv2d*'; may be repeated.",
)
@click.option(
    "--reduce-range", is_flag=True, help="Weights of 7 bits, for processors without VNNI."
)
@gates
@options.track
@options.data_dir
@measuring
@json_option
@pass_app
def command(
    app: App,
    /,
    model: str,
    out: str | None,
    precision: str,
    settings: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Quantize MODEL (a model or run folder) into OUT, by default beside it as MODEL-int8.

    Activations are calibrated on training images, and the result is held against the float graph
    in ONNX Runtime on validation images.
    """
    at = parse_settings(settings)
    from oraclezoo.cli._receipt import show_step
    from oraclezoo.pipeline.export import default_folder
    from oraclezoo.pipeline.quantize import quantize

    folder = out or default_folder(model, f"-{precision}")
    with stdout_to_stderr():
        done = quantize(
            model,
            folder,
            precision=precision,
            settings=at,
            registry=app.registry,
            progress=say,
            **given,
        )
    show_step("quantize", folder, done.card["receipts"], as_json)
