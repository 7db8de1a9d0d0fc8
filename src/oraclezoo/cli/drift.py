"""``oraclezoo drift``: do images look like those that a model was trained on?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, emit_json, json_option, pass_app, say

if TYPE_CHECKING:
    from oraclezoo.analysis.drift import Drift


@click.command("drift")
@click.argument("model", metavar="MODEL")
@click.argument("images", nargs=-1, metavar="IMAGE...")
@options.track
@options.data_dir
@click.option(
    "--split",
    type=click.Choice(["validation", "train"]),
    default="validation",
    show_default=True,
    help="Part of the model's data that images are held to.",
)
@click.option(
    "--reference",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Hold images to this instead; no data are needed.",
)
@click.option(
    "--save-reference",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write what images are held to, for --reference.",
)
@click.option(
    "--polarity",
    type=click.Choice(["auto", "light-on-dark", "dark-on-light"]),
    default="auto",
    show_default=True,
    help="Whether characters are brighter than what they stand on.",
)
@click.option(
    "--gate", type=click.FloatRange(0, 1), metavar="P", help="Exit with 3 if a p-value is below P."
)
@options.device
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
    """Test whether IMAGES as a whole look like those that MODEL was trained on.

    MODEL is a folder of a run or a model, or a name; an IMAGE a file, folder, pattern or IDX file.
    Two tests: of the net's last features, and of the classes it finds. A small p-value says that
    the images differ; a large one does not say that they are alike.
    """
    from oraclezoo.analysis.drift import drift
    from oraclezoo.analysis.drift import reference as make_reference
    from oraclezoo.errors import UsageError, VerificationError

    if reference is not None and save_reference is not None:
        raise UsageError("--reference and --save-reference exclude each other")
    if not images and save_reference is None:
        raise UsageError("name images, folders or IDX files, or --save-reference FILE")
    held_to: Any = reference
    if reference is None:
        held_to = make_reference(
            model,
            split=split,
            track=track,
            data_dir=data_dir,
            device=device,
            registry=app.registry,
            progress=say,
        )
    if save_reference is not None:
        say(f"reference: {held_to.save(save_reference)}")
    if not images:
        return
    found = drift(
        model,
        images,
        held_to,
        polarity=polarity,
        device=device,
        registry=app.registry,
        progress=say,
    )
    for line in found.unreadable:
        say(f"oraclezoo: left out: {line}")
    if as_json:
        emit_json("oraclezoo/drift/1", {**dataclasses.asdict(found), "differs": found.differs})
    else:
        _show(found)
    lowest = min(found.features.p, found.classes.p)
    if gate is not None and lowest < gate:
        raise VerificationError(f"p = {lowest:.3g} is below {gate:g}: these images differ")


def _show(found: Drift) -> None:
    """Both tests, the classes that moved most, and what it comes to."""
    click.echo(
        f"{found.images} images against {found.against} {found.split} images of {found.track}"
    )
    for what, shift, name in (
        ("features", found.features, "MMD²"),
        ("classes", found.classes, "chi²"),
    ):
        click.echo(
            f"{what}: p = {shift.p:.3g}, {name} {shift.statistic:.4g}, "
            f"{shift.deviations:+.1f} SD from what chance gives"
        )
    moved = sorted(found.shares, key=lambda share: -abs(share.images - share.reference))
    for share in moved[:3]:
        click.echo(
            f"  {share.name}: {100 * share.reference:.1f}% of the reference, "
            f"{100 * share.images:.1f}% here"
        )
    if found.differs:
        text = f"these images differ in {' and '.join(found.differs)} (5% over both tests)"
    else:
        text = "no difference found (5% over both tests)"
    click.echo(click.style(text, bold=True))
