"""``oraclezoo data corrupt``: a sheet of what the corruptions do."""

from __future__ import annotations

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, complete_names, emit_json, json_option, pass_app, say


@click.command("corrupt")
@click.argument("track", default="glyphs-3k", shell_complete=complete_names("dataset"))
@options.out_file("PNG file to write.", "corruptions.png")
@options.data_dir
@click.option("--name", metavar="NAME", help="One corruption, on more images; else all of them.")
@click.option("--split", type=click.Choice(["train", "validation"]), default="train")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@json_option
@pass_app
def command(
    app: App,
    track: str,
    out: str,
    data_dir: str | None,
    name: str | None,
    split: str,
    seed: int,
    as_json: bool,
) -> None:
    """Write a sheet of corrupted images of TRACK to OUTPUT, a PNG.

    A row is a corruption: some images, each as it is and at severities 1 to 5. With --name, a row
    is a severity, from none to 5. Test images are not shown.
    """
    from pathlib import Path

    from oraclezoo.data.corrupt import CORRUPTIONS, VERSION
    from oraclezoo.data.corrupt.sheet import overview, severities

    place = Path(data_dir) if data_dir else None
    dataset = app.registry.create("dataset", track, data_dir=place, progress=say)
    part = dataset.split(split)
    if name is None:
        sheet = overview(part.images, part.labels, seed=seed)
    else:
        sheet = severities(part.images, part.labels, name, seed=seed)
    sheet.save(out, format="PNG")
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
