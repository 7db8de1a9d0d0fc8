"""``oraclezoo export``: a model as a file that runs without oraclezoo."""

from __future__ import annotations

from typing import Any

import click

from oraclezoo.choices import EXPORT_FORMATS
from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, json_option, pass_app, say, stdout_to_stderr
from oraclezoo.cli._measuring import measuring, parse_settings


@click.command("export")
@click.argument("model", type=click.Path(file_okay=False))
@click.argument("out", required=False, type=click.Path(file_okay=False))
@click.option("--format", type=click.Choice(EXPORT_FORMATS), default="onnx", show_default=True)
@click.option(
    "--preprocess/--no-preprocess",
    default=True,
    show_default=True,
    help="uint8 images to probabilities; else standardised float32 images to logits.",
)
@click.option("--opset", type=int, default=20, show_default=True, help="Of ONNX, 18 to 23.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="The most that a probability may differ from eager's; else exit with 3.",
)
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
    settings: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Export MODEL (a model or run folder) into OUT, by default itself or models/<run name>.

    The file is checked by ONNX's own checker and against eager on validation images.
    """
    at = parse_settings(settings)
    from oraclezoo.cli._receipt import show_step
    from oraclezoo.quantization.export import default_folder, export

    folder = out or default_folder(model)
    with stdout_to_stderr():
        done = export(
            model,
            folder,
            settings=at,
            registry=app.registry,
            progress=say,
            **given,
        )
    show_step("export", folder, done.card["receipts"], as_json)
