"""``oraclezoo drift``: test images for drift from a model's training distribution."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

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
)
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from oraclezoo.analysis.drift import Drift


@click.command("drift", epilog=example("oraclezoo drift oraclenet_s scans --gate 0.01"))
@click.argument("model", metavar="MODEL", shell_complete=complete_models)
@click.argument("images", nargs=-1, metavar="IMAGE...")
@options.track
@options.data_dir
@options.split("Split of the model's data to compare with.", "validation", "train")
@click.option(
    "--reference",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Compare with a saved reference; the training data is not needed.",
)
@click.option(
    "--save-reference",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Save the reference features to FILE, for --reference.",
)
@options.polarity
@click.option(
    "--gate",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Exit with status 3 if a p-value is below P.",
)
@options.device
@options.quiet
@json_option
@pass_app
def command(
    app: App,
    model: str,
    images: tuple[str, ...],
    track: str | None,
    data_dir: str | None,
    split: str,
    reference: str | None,
    save_reference: str | None,
    polarity: Any,
    gate: float | None,
    device: str,
    as_json: bool,
) -> None:
    """Test whether a set of images differs from the training distribution of MODEL.

    MODEL is a run folder, a model folder or a model name; IMAGE is a file, a folder, a glob pattern
    or an IDX file. Runs two tests: on the penultimate features (MMD) and on the predicted classes
    (chi-square). A small p-value is evidence of drift; a large one does not prove its absence.
    """
    from pathlib import Path

    from oraclezoo.analysis.drift import drift
    from oraclezoo.analysis.drift import reference as make_reference
    from oraclezoo.artifacts.run import writable
    from oraclezoo.errors import UsageError, VerificationError

    if reference is not None and save_reference is not None:
        raise UsageError("use either --reference or --save-reference, not both")
    if not images and save_reference is None:
        raise UsageError("pass images, folders or IDX files, or --save-reference FILE")
    if save_reference is not None:
        writable(Path(save_reference).parent)
    baseline: Any = reference
    if reference is None:
        baseline = make_reference(
            model,
            split=split,
            track=track,
            data_dir=data_dir,
            device=device,
            registry=app.registry,
            progress=say,
        )
    if save_reference is not None:
        say(f"reference: {baseline.save(save_reference)}")
    if not images:
        return
    outcome = drift(
        model,
        images,
        baseline,
        polarity=polarity,
        device=device,
        registry=app.registry,
        progress=say,
    )
    for line in outcome.unreadable:
        say(f"oraclezoo: skipped: {line}")
    if as_json:
        emit_json("oraclezoo/drift/1", {**dataclasses.asdict(outcome), "differs": outcome.differs})
    else:
        _show(outcome)
        next_step("predict", "--model", model, *images)
    lowest = min(outcome.features.p, outcome.classes.p)
    if gate is not None and lowest < gate:
        raise VerificationError(
            f"p = {lowest:.3g} is below {gate:g}: the images differ from the reference"
        )


def _show(outcome: Drift) -> None:
    """Print both tests, the classes with the largest shift, and the conclusion."""
    click.echo(
        f"{outcome.images} images against {outcome.against} {outcome.split} images "
        f"of {outcome.track}"
    )
    for label, shift, name in (
        ("features", outcome.features, "MMD²"),
        ("classes", outcome.classes, "chi²"),
    ):
        click.echo(
            f"{label}: p = {shift.p:.3g}, {name} {shift.statistic:.4g}, "
            f"{shift.deviations:+.1f} SD from the null mean"
        )
    largest = sorted(outcome.shares, key=lambda share: -abs(share.images - share.reference))
    for share in largest[:3]:
        click.echo(
            f"  {share.name}: {100 * share.reference:.1f}% of the reference, "
            f"{100 * share.images:.1f}% here"
        )
    if outcome.differs:
        text = f"the images differ in {' and '.join(outcome.differs)} (5% level over both tests)"
    else:
        text = "no difference found (5% level over both tests)"
    click.echo(click.style(text, bold=True))
