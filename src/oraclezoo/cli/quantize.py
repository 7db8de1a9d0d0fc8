"""``oraclezoo quantize``: a model with fewer bits."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from oraclezoo.choices import BACKENDS, COMPILE, PRECISIONS
from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, json_option, pass_app, say, stdout_to_stderr
from oraclezoo.cli._measuring import gates, measuring, parse_settings
from oraclezoo.cli._rounding import rounding

OPTIONS = {
    "torch": ("device", "compile"),
    "onnxruntime": (
        "calibration",
        "sensitivity",
        "images",
        "max_divergence",
        "keep_float",
        "reduce_range",
    ),
}
"""What each backend alone takes."""


@click.command("quantize")
@click.argument("model", type=click.Path(file_okay=False))
@click.argument("out", required=False, type=click.Path(file_okay=False))
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="int8",
    show_default=True,
    help="bf16 is for torch alone.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="onnxruntime",
    show_default=True,
    help="What is to run the model. Of the options below, torch takes --device and --compile, "
    "ONNX Runtime those of calibration and layers.",
)
@options.device
@click.option(
    "--compile",
    type=click.Choice(COMPILE),
    default="auto",
    show_default=True,
    help="torch.compile; auto: on CUDA.",
)
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
    backend: str,
    settings: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Quantize MODEL (a model or run folder, or a name) into OUT.

    By default that is MODEL-int8 beside it, for torch MODEL-int8-torch. For ONNX Runtime,
    activations are calibrated on training images, and the result is held against the float graph on
    validation images. With --backend torch the weights stay as they are, and the model says how
    torch is to run them: on a GPU, or with --device cpu; int8 there needs torchao (pip install
    'oraclezoo[torchao]').
    """
    at = parse_settings(settings)
    _keep(backend, given)
    from oraclezoo.cli._receipt import show_step
    from oraclezoo.quantization.export import default_folder
    from oraclezoo.quantization.onnx import quantize

    ending = f"-{precision}" if backend == "onnxruntime" else f"-{precision}-{backend}"
    folder = out or default_folder(model, ending)
    with stdout_to_stderr():
        done = quantize(
            model,
            folder,
            precision=precision,
            backend=backend,
            settings=at,
            registry=app.registry,
            progress=say,
            **given,
        )
    show_step("quantize", folder, done.card["receipts"], as_json)


def _keep(backend: str, given: dict[str, Any]) -> None:
    """Drop the options of the other backend. Raises UsageError for one that was typed."""
    context = click.get_current_context()
    for other, names in OPTIONS.items():
        for name in names if other != backend else ():
            del given[name]
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                option = "--" + name.replace("_", "-")
                raise click.UsageError(f"{option} is for --backend {other}, not for {backend}")
