"""``oraclezoo calibrate``: calibrate the probabilities of a model."""

from __future__ import annotations

from pathlib import Path

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_models,
    emit_json,
    json_option,
    next_step,
    pass_app,
    say,
    stdout_to_stderr,
    wrapped,
)
from oraclezoo.cli._shared.examples import example


@click.command("calibrate", epilog=example("oraclezoo calibrate runs/my-run --out calibrated"))
@click.argument("model", type=click.Path(file_okay=False), shell_complete=complete_models)
@options.out("Output folder.  [default: MODEL; for a run, models/RUN_NAME]")
@click.option(
    "--unknown/--no-unknown",
    default=True,
    show_default=True,
    help="Also fit a detector for unknown characters, which takes one to three minutes.",
)
@options.track
@options.data_dir
@options.quiet
@json_option
@pass_app
def command(
    app: App,
    /,
    model: str,
    out: str | None,
    unknown: bool,
    track: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Calibrate MODEL (a model or run folder): its probabilities, and what it does not know.

    Temperature scaling is fitted on validation images. A detector learns to distinguish the
    training images from noise and from other characters. Predicted classes do not change.
    """
    from oraclezoo.codec import encode
    from oraclezoo.quantization.export import default_folder
    from oraclezoo.quantization.temperature import calibrate

    folder = out or default_folder(model)
    with stdout_to_stderr():
        done = calibrate(
            model,
            folder,
            unknown=unknown,
            track=track,
            data_dir=data_dir,
            registry=app.registry,
            progress=say,
        )
    entry = done.card.calibration
    assert entry is not None
    if as_json:
        detector = done.card.unknown and encode(done.card.unknown)
        data = {"folder": str(folder), **encode(entry), "unknown": detector}
        emit_json("oraclezoo/calibrate/1", data)
        return
    click.echo(folder)
    text = (
        f"temperature {entry.temperature:.3f}, fitted on {entry.images} validation images\n"
        f"expected calibration error {entry.before['ece']:.3f} -> {entry.after['ece']:.3f}, "
        f"negative log-likelihood {entry.before['loss']:.3f} -> {entry.after['loss']:.3f} nats "
        f"({entry.folds}-fold cross-validation)"
    )
    click.echo(wrapped(text))
    if done.card.unknown is not None:
        kept = ", ".join(f"{100 * v:.1f}% of {k}" for k, v in done.card.unknown.kept.items())
        click.echo(f"unknown from {done.card.unknown.threshold:.3f}; below it are {kept}")
    next_step("predict", "--model", folder, "--demo")
