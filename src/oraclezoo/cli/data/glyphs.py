"""``oraclezoo data glyphs``: generate a synthetic data set."""

from __future__ import annotations

import shlex

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import emit_json, json_option, next_step
from oraclezoo.cli._shared.examples import example


@click.command("glyphs", epilog=example("oraclezoo data glyphs --out my-data --train 500"))
@options.out("New folder for the data set.", required=True)
@click.option(
    "--classes",
    type=click.Path(),
    metavar="FILE",
    help="Your characters: a TOML file of strokes, or a folder with CLASS/FORM.svg.  "
    "[default: ten oracle bone characters]",
)
@click.option(
    "--train",
    type=click.IntRange(10),
    default=1000,
    show_default=True,
    metavar="N",
    help="Training images per class.",
)
@click.option(
    "--validation",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="N",
    help="Validation images per class.",
)
@click.option(
    "--test",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    metavar="N",
    help="Test images per class.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
@click.option(
    "--flip-keeps-label", is_flag=True, help="Declare that mirroring an image preserves its label."
)
@options.quiet
@json_option
def command(
    out: str,
    classes: str | None,
    train: int,
    validation: int,
    test: int,
    seed: int,
    flip_keeps_label: bool,
    as_json: bool,
) -> None:
    """Generate a synthetic data set for --track idx, with N images per class.

    Renders stroke descriptions, then warps, breaks, frames and degrades them like old rubbings.
    docs/how-to/data/glyphs.md describes the stroke format.
    """
    from pathlib import Path

    from oraclezoo.cli._shared.progress import progress
    from oraclezoo.data.glyphs.folder import write_folder
    from oraclezoo.data.glyphs.forms import oracle
    from oraclezoo.data.glyphs.written import read

    characters = oracle() if classes is None else read(Path(classes))
    per_class = {"train": train, "validation": validation, "test": test}
    total = len(characters) * sum(per_class.values())
    with progress("generating", total) as lines:
        record = write_folder(
            Path(out),
            characters,
            per_class,
            seed,
            # holds for oracle bone characters
            flip_keeps_label=flip_keeps_label or classes is None,
            progress=lambda split, images: lines.say(
                f"generating {images:,} characters for {split}"
            ),
            on_images=lambda done: lines.update(done, f"{done:,} of {total:,} images"),
        )
    if as_json:
        emit_json("oraclezoo/glyphs/1", {"folder": out, **record.to_json_dict()})
        return
    click.echo(f"{out}\nuse it with {shlex.join(['--track', 'idx', '--data-dir', str(out)])}")
    next_step("data", "preview", "idx", "--data-dir", out)
