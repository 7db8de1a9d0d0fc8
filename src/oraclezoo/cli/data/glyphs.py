"""``oraclezoo data glyphs``: a data set of generated characters."""

from __future__ import annotations

import click

from oraclezoo.cli._base import emit_json, json_option, say


@click.command("glyphs")
@click.argument("out", type=click.Path(file_okay=False))
@click.option(
    "--classes",
    type=click.Path(),
    metavar="FILE",
    help="Your characters: a TOML file of strokes, or a folder CLASS/FORM.svg; else the ten.",
)
@click.option("--train", type=click.IntRange(10), default=1000, show_default=True, metavar="N")
@click.option("--validation", type=click.IntRange(1), default=100, show_default=True, metavar="N")
@click.option("--test", type=click.IntRange(1), default=200, show_default=True, metavar="N")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--flip-keeps-label", is_flag=True, help="Mirrored characters are of the same class.")
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
    """Generate characters into the new folder OUT, for --track idx; N images of each class.

    The images are strokes that were written down, then warped, broken, framed and worn as old
    rubbings are. docs/glyphs.md says how to write strokes down.
    """
    from pathlib import Path

    from oraclezoo.data.glyphs.folder import write_folder
    from oraclezoo.data.glyphs.forms import oracle
    from oraclezoo.data.glyphs.written import read

    record = write_folder(
        Path(out),
        oracle() if classes is None else read(Path(classes)),
        {"train": train, "validation": validation, "test": test},
        seed,
        flip_keeps_label=flip_keeps_label or classes is None,  # true of oracle bone characters
        progress=lambda split, images: say(f"generating {images:,} characters for {split}"),
    )
    if as_json:
        emit_json("oraclezoo/glyphs/1", {"folder": out, **record.to_json_dict()})
        return
    click.echo(f"{out}\nuse it by --track idx --data-dir {out}")
