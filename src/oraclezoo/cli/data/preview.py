"""``oraclezoo data preview``: write a contact sheet of labeled images."""

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

_STREAM_ABOVE_BYTES = 1 << 26
"""Larger arrays are streamed, since only a few images are shown."""


@click.command("preview", epilog=example("oraclezoo data preview glyphs-3k --out sheet.png"))
@click.argument("track", default="glyphs-3k", shell_complete=complete_names("dataset"))
@options.out_file("PNG file to write.", "preview.png")
@options.data_dir
@click.option(
    "--split",
    type=click.Choice(["train", "validation"]),
    default="train",
    show_default=True,
    help="Split to show.",
)
@click.option(
    "--per-class",
    type=click.IntRange(1, 200),
    default=12,
    show_default=True,
    help="Images per class.",
)
@click.option(
    "--beside",
    metavar="TRACK",
    shell_complete=complete_names("dataset"),
    help="Second track with the same classes, shown on the right.",
)
@json_option
@pass_app
def command(
    app: App,
    track: str,
    out: str,
    overwrite: bool,
    data_dir: str | None,
    split: str,
    per_class: int,
    beside: str | None,
    as_json: bool,
) -> None:
    """Write a contact sheet of labeled images of TRACK. Test images are never shown."""
    from pathlib import Path

    from oraclezoo.data.sheet import contact_sheet
    from oraclezoo.data.tiles import classes_beside
    from oraclezoo.storage import replacing

    options.refuse_existing(out, overwrite=overwrite)
    arguments = {
        "data_dir": Path(data_dir) if data_dir else None,
        "progress": say,
        "stream_above": _STREAM_ABOVE_BYTES,
    }
    dataset: Any = app.registry.create("dataset", track, **arguments)
    part = dataset.split(split)
    if beside is None:
        sheet = contact_sheet(
            part.images, part.labels, dataset.classes, dataset.glyphs, per_class=per_class, say=say
        )
    else:
        other = app.registry.create("dataset", beside, **arguments)
        sheet = classes_beside(dataset, other, split, per_class, say)
    with replacing(Path(out)) as file:
        sheet.save(file, format="PNG")
    if as_json:
        emit_json("oraclezoo/preview/1", {"file": out, "size": [sheet.width, sheet.height]})
        return
    click.echo(f"{out}: {sheet.width} x {sheet.height} pixels")
    folder = ("--data-dir", data_dir) if data_dir else ()
    next_step("data", "audit", track, *folder)
