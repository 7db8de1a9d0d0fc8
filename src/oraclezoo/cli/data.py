"""``oraclezoo data``: what data there is, getting it, checking it, looking at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import (
    App,
    complete_names,
    emit_json,
    json_option,
    pass_app,
    print_table,
    say,
)

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = click.Path(file_okay=False)


@click.group("data")
def command() -> None:
    """List, download, check and look at data."""


@command.command("list")
@json_option
@pass_app
def list_tracks(app: App, as_json: bool) -> None:
    """List the tracks: data sets with a fixed split."""
    entries = app.registry.entries("dataset")
    if as_json:
        rows = [
            {"name": e.qualified, "summary": e.spec.summary, "facts": dict(e.spec.facts)}
            for e in entries
        ]
        emit_json("oraclezoo/tracks/1", rows)
        return
    header = ("track", "train", "validation", "test", "needs", "summary")
    counts = ("train", "validation", "test")
    print_table(
        header,
        [
            (
                e.spec.name if e.builtin else e.qualified,
                *(str(e.spec.facts.get(key) or "") for key in counts),
                str(e.spec.facts.get("needs", "")),
                ("[synthetic] " if e.spec.facts.get("synthetic") else "") + e.spec.summary,
            )
            for e in entries
        ],
    )


@command.command("fetch")
@click.option("--dest", type=_FOLDER, help="Folder to download to; else the user's cache.")
@click.option("--url", envvar="ORACLEZOO_DATA_URL", help="Folder of a mirror to download from.")
@click.option("--only-3k", is_flag=True, help="Just the two files of oracle-mnist-3k (1.5 MB).")
@json_option
def fetch(dest: str | None, url: str | None, only_3k: bool, as_json: bool) -> None:
    """Download Oracle-MNIST from its authors' repository, verified."""
    from pathlib import Path

    from oraclezoo.data import upstream
    from oraclezoo.data.fetch import fetch as download

    names = (upstream.TEST_IMAGES, upstream.TEST_LABELS) if only_3k else None
    places = download(names, dest=Path(dest) if dest else None, url=url, progress=say)
    if as_json:
        emit_json("oraclezoo/fetch/1", {name: str(path) for name, path in places.items()})
        return
    for path in places.values():
        click.echo(path)


@command.command("verify")
@click.argument("folder", type=_FOLDER, required=False)
@json_option
def verify(folder: str | None, as_json: bool) -> None:
    """Hold the Oracle-MNIST files in FOLDER (else the user's cache) against their digests.

    Exit status 3 if one is not what it should be; a missing file is reported, and no failure as
    long as another is there.
    """
    from oraclezoo.data.locate import folders
    from oraclezoo.data.locate import verify as check
    from oraclezoo.errors import VerificationError

    place = folders(_path(folder) if folder else None)[0]
    checks = check(place)
    if as_json:
        rows = [
            {
                "name": c.name,
                "status": c.status,
                "kind": c.kind,
                "expected": c.expected,
                "actual": c.actual,
            }
            for c in checks
        ]
        emit_json("oraclezoo/verify/1", {"folder": str(place), "files": rows})
    else:
        print_table(
            ("file", "status", "digest"),
            [(c.name, c.status, f"{c.kind} {c.expected[:16]}") for c in checks],
        )
    bad = [c.name for c in checks if c.status not in ("ok", "missing")]
    if bad or all(c.status == "missing" for c in checks):
        what = ", ".join(bad) + " is not the published file" if bad else "no file is there"
        raise VerificationError(f"{place}: {what}; get it by 'oraclezoo data fetch'")


@command.command("preview")
@click.argument("track", default="glyphs-3k", shell_complete=complete_names("dataset"))
@click.argument("output", type=click.Path(dir_okay=False), default="preview.png")
@options.data_dir
@click.option("--split", type=click.Choice(["train", "validation"]), default="train")
@click.option("--per-class", type=click.IntRange(1, 200), default=12, show_default=True)
@json_option
@pass_app
def preview(
    app: App,
    track: str,
    output: str,
    data_dir: str | None,
    split: str,
    per_class: int,
    as_json: bool,
) -> None:
    """Write a labelled contact sheet of TRACK to OUTPUT, a PNG. Test images are not shown."""
    from oraclezoo.data.sheet import contact_sheet

    place = _path(data_dir) if data_dir else None
    dataset = app.registry.create("dataset", track, data_dir=place, progress=say)
    part = dataset.split(split)
    sheet = contact_sheet(
        part.images, part.labels, dataset.classes, dataset.glyphs, per_class=per_class
    )
    sheet.save(output, format="PNG")
    if as_json:
        emit_json("oraclezoo/preview/1", {"file": output, "size": [sheet.width, sheet.height]})
        return
    click.echo(f"{output}: {sheet.width} x {sheet.height} pixels")


def _path(folder: str) -> Path:
    from pathlib import Path

    return Path(folder)
