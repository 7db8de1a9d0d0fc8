"""``oraclezoo calibrate``: calibrate the probabilities of a model."""

from __future__ import annotations

from pathlib import Path

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import App, emit_json, json_option, pass_app, say, stdout_to_stderr


@click.command("calibrate")
@click.argument("model", type=click.Path(file_okay=False))
@options.out("Output folder.  [default: MODEL; for a run, models/RUN_NAME]")
@options.track
@options.data_dir
@json_option
@pass_app
def command(
    app: App,
    /,
    model: str,
    out: str | None,
    track: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Calibrate the probabilities of MODEL (a model or run folder) by temperature scaling.

    The temperature is fitted on validation images. Predicted classes and accuracy do not change.
    """
    from oraclezoo.codec import encode
    from oraclezoo.quantization.export import default_folder
    from oraclezoo.quantization.temperature import calibrate

    folder = out or default_folder(model)
    with stdout_to_stderr():
        done = calibrate(
            model, folder, track=track, data_dir=data_dir, registry=app.registry, progress=say
        )
    entry = done.card.calibration
    assert entry is not None
    if as_json:
        emit_json("oraclezoo/calibrate/1", {"folder": str(folder), **encode(entry)})
        return
    click.echo(
        f"{folder}\n"
        f"temperature {entry.temperature:.3f}, fitted on {entry.images} validation images\n"
        f"expected calibration error {entry.before['ece']:.3f} -> {entry.after['ece']:.3f}, "
        f"negative log-likelihood {entry.before['loss']:.3f} -> {entry.after['loss']:.3f} nats "
        f"({entry.folds}-fold cross-validation)"
    )
