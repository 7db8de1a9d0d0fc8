"""``oraclezoo data fetch``: download and verify Oracle-MNIST."""

from __future__ import annotations

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import emit_json, json_option, next_step
from oraclezoo.cli._shared.examples import example
from oraclezoo.cli._shared.progress import progress, received_bytes


@click.command("fetch", epilog=example("oraclezoo data fetch --only-3k"))
@options.out("Folder to download to.  [default: the user's cache]")
@click.option(
    "--url",
    envvar="ORACLEZOO_DATA_URL",
    metavar="URL",
    help="Base URL of a mirror to download from.",
)
@click.option(
    "--only-3k", is_flag=True, help="Download only the two files of oracle-mnist-3k (1.5 MB)."
)
@options.quiet
@json_option
def command(out: str | None, url: str | None, only_3k: bool, as_json: bool) -> None:
    """Download Oracle-MNIST from its authors' repository, verified.

    Files that exist are verified and kept.
    """
    from pathlib import Path

    from oraclezoo.data import upstream
    from oraclezoo.data.fetch import fetch as download

    names = (upstream.TEST_IMAGES, upstream.TEST_LABELS) if only_3k else None
    with progress("downloading", 1) as shown:
        places = download(
            names,
            dest=Path(out) if out else None,
            url=url,
            progress=shown.say,
            received=received_bytes(shown),
        )
    if as_json:
        emit_json("oraclezoo/fetch/1", {name: str(path) for name, path in places.items()})
        return
    for path in places.values():
        click.echo(path)
    track = "oracle-mnist-3k" if only_3k else "oracle-mnist"
    next_step("train", "--track", track, *(("--data-dir", out) if out else ()))
