"""``oraclezoo data corrupt``: write a contact sheet of the corruptions."""

from __future__ import annotations

from typing import Any

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_names,
    emit_json,
    json_option,
    next_step,
    pass_app,
    say,
)
from oraclezoo.cli._shared.examples import example


@click.command(
    "corrupt", epilog=example("oraclezoo data corrupt glyphs-3k --name jpeg --out jpeg.png")
)
@click.argument("track", default="glyphs-3k", shell_complete=complete_names("dataset"))
@options.out_file("PNG file to write.", "corruptions.png")
@options.data_dir
@click.option("--name", metavar="NAME", help="Show one corruption on more images.  [default: all]")
@click.option(
    "--split",
    type=click.Choice(["train", "validation"]),
    default="train",
    show_default=True,
    help="Split to show.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
@json_option
@pass_app
def command(
    app: App,
    track: str,
    out: str,
    overwrite: bool,
    data_dir: str | None,
    name: str | None,
    split: str,
    seed: int,
    as_json: bool,
) -> None:
    """Write a contact sheet of corrupted images of TRACK.

    Each row shows one corruption: some images, clean and at severities 1 to 5. With --name, each
    row shows one severity, from 0 (clean) to 5. Test images are never shown.
    """
    from pathlib import Path

    from oraclezoo.data.corrupt import CORRUPTIONS, VERSION
    from oraclezoo.data.corrupt.sheet import overview, severities
    from oraclezoo.storage import replacing

    options.refuse_existing(out, overwrite=overwrite)
    place = Path(data_dir) if data_dir else None
    dataset: Any = app.registry.create("dataset", track, data_dir=place, progress=say)
    part = dataset.split(split)
    if name is None:
        sheet = overview(part.images, part.labels, seed=seed)
    else:
        sheet = severities(part.images, part.labels, name, seed=seed)
    with replacing(Path(out)) as file:
        sheet.save(file, format="PNG")
    if as_json:
        rows = [
            {"name": c.name, "summary": c.summary, "unit": c.unit, "strengths": list(c.strengths)}
            for c in CORRUPTIONS.values()
        ]
        size = [sheet.width, sheet.height]
        data = {"file": out, "size": size, "version": VERSION, "corruptions": rows}
        emit_json("oraclezoo/corruptions/1", data)
        return
    click.echo(f"{out}: {sheet.width} x {sheet.height} pixels")
    folder = ("--data-dir", data_dir) if data_dir else ()
    next_step("bench", "--robust", "--track", track, *folder)
