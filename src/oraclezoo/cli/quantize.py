"""``oraclezoo quantize``: convert a model to int8, fp16 or bf16."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from oraclezoo.choices import BACKENDS, COMPILE, PRECISIONS
from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_models,
    json_option,
    next_step,
    pass_app,
    say,
    stdout_to_stderr,
)
from oraclezoo.cli._shared.examples import example
from oraclezoo.cli._shared.measuring import gates, measuring, parse_settings
from oraclezoo.cli._shared.quantizing import quantizing

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
"""Options that only one backend accepts."""


@click.command(
    "quantize", epilog=example("oraclezoo quantize runs/my-run --precision int8 --out small")
)
@click.argument("model", type=click.Path(file_okay=False), shell_complete=complete_models)
@options.out(
    "Folder of the quantized model.  [default: MODEL-PRECISION; with --backend torch "
    "MODEL-PRECISION-torch]"
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="int8",
    show_default=True,
    help="Target precision; bf16 requires --backend torch.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="onnxruntime",
    show_default=True,
    help="Runtime of the quantized model. --device and --compile apply to torch, the calibration "
    "and layer options to ONNX Runtime.",
)
@options.device
@click.option(
    "--compile",
    type=click.Choice(COMPILE),
    default="auto",
    show_default=True,
    help="Use torch.compile; auto enables it on CUDA.",
)
@quantizing
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    help="Number of training images for calibration.",
)
@click.option(
    "--max-divergence",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    metavar="NATS",
    help="Maximum divergence from float; beyond it the most sensitive layers stay in float.",
)
@click.option(
    "--keep-float",
    multiple=True,
    metavar="PATTERN",
    help="Keep matching layers in float, e.g. 'node_conv2d*'; repeatable.",
)
@click.option(
    "--reduce-range", is_flag=True, help="Use 7-bit weights, for processors without VNNI."
)
@gates
@options.track
@options.data_dir
@measuring
@options.quiet
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
    **arguments: Any,
) -> None:
    """Quantize MODEL (a model folder, a run folder or a model name).

    For ONNX Runtime, activations are calibrated on training images, and the quantized graph is
    compared with the float graph on validation images. With --backend torch the stored weights do
    not change; the card records how PyTorch converts them when it loads the model, on a GPU or with
    --device cpu. int8 in PyTorch requires torchao (pip install 'oraclezoo[torchao]').
    """
    at = parse_settings(settings)
    _keep(backend, arguments)
    from oraclezoo.cli._shared.receipt import show_step
    from oraclezoo.quantization.export import default_folder
    from oraclezoo.quantization.onnx import quantize

    ending = f"-{precision}" if backend == "onnxruntime" else f"-{precision}-{backend}"
    folder = out or default_folder(model, ending)
    with stdout_to_stderr():
        quantized = quantize(
            model,
            folder,
            precision=precision,
            backend=backend,
            settings=at,
            registry=app.registry,
            progress=say,
            **arguments,
        )
    show_step("quantize", folder, quantized.card.receipts[-1], as_json)
    if not as_json:
        next_step("predict", "--model", folder, "--demo")


def _keep(backend: str, arguments: dict[str, Any]) -> None:
    """Drop the options of the other backend. Raises UsageError if one was set explicitly."""
    context = click.get_current_context()
    for backend_of_option, names in OPTIONS.items():
        for name in names if backend_of_option != backend else ():
            del arguments[name]
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                option = "--" + name.replace("_", "-")
                raise click.UsageError(
                    f"{option} applies to --backend {backend_of_option}, not to {backend}"
                )
