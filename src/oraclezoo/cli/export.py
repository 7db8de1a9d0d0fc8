"""``oraclezoo export``: write a model as a file that runs without oraclezoo."""

from __future__ import annotations

from typing import Any

import click

from oraclezoo.choices import EXPORT_FORMATS
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
from oraclezoo.cli._shared.measuring import measuring, parse_settings


@click.command("export", epilog=example("oraclezoo export runs/my-run --out exported"))
@click.argument("model", type=click.Path(file_okay=False), shell_complete=complete_models)
@options.out("Output folder.  [default: MODEL; for a run, models/RUN_NAME]")
@click.option(
    "--format",
    type=click.Choice(EXPORT_FORMATS),
    default="onnx",
    show_default=True,
    help="File format.",
)
@click.option(
    "--preprocess/--no-preprocess",
    default=True,
    show_default=True,
    help="Include preprocessing and softmax (uint8 images to probabilities); else standardized "
    "float32 images to logits.",
)
@click.option("--opset", type=int, default=20, show_default=True, help="ONNX opset, 18 to 23.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="Maximum difference in any probability from eager PyTorch; if exceeded, exit with "
    "status 3.",
)
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
    settings: tuple[str, ...],
    as_json: bool,
    **arguments: Any,
) -> None:
    """Export MODEL (a model or run folder) to ONNX or .pt2.

    Verifies the file with the ONNX checker and against eager PyTorch on validation images.
    """
    at = parse_settings(settings)
    from oraclezoo.cli._shared.receipt import show_step
    from oraclezoo.quantization.export import default_folder, export

    folder = out or default_folder(model)
    with stdout_to_stderr():
        exported = export(
            model,
            folder,
            settings=at,
            registry=app.registry,
            progress=say,
            **arguments,
        )
    show_step("export", folder, exported.card.receipts[-1], as_json)
    if not as_json:
        next_step("quantize", folder)
