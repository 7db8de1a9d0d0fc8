"""``oraclezoo data fetch``: download Oracle-MNIST."""

from __future__ import annotations

import click

from oraclezoo.cli._base import emit_json, json_option, say


@click.command("fetch")
@click.option(
    "--dest", type=click.Path(file_okay=False), help="Folder to download to; else the user's cache."
)
@click.option("--url", envvar="ORACLEZOO_DATA_URL", help="Folder of a mirror to download from.")
@click.option("--only-3k", is_flag=True, help="Just the two files of oracle-mnist-3k (1.5 MB).")
@json_option
def command(dest: str | None, url: str | None, only_3k: bool, as_json: bool) -> None:
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
