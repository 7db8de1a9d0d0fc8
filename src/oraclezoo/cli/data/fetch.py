"""``oraclezoo data fetch``: download and verify Oracle-MNIST."""

from __future__ import annotations

import time

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import emit_json, json_option
from oraclezoo.cli._shared.progress import QUIET_S, Bar, Lines, progress


@click.command("fetch")
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
            received=_Received(shown),
        )
    if as_json:
        emit_json("oraclezoo/fetch/1", {name: str(path) for name, path in places.items()})
        return
    for path in places.values():
        click.echo(path)


class _Received:
    """Report received bytes: a progress bar on a terminal, otherwise occasional lines."""

    def __init__(self, shown: Lines) -> None:
        self._shown = shown
        self._last = time.monotonic()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        of = "" if total is None else f" of {total / 1e3:,.0f}"
        text = f"{done / 1e3:,.0f}{of} kB"
        if isinstance(self._shown, Bar):
            self._shown.total = (
                total or 2 * done
            )  # shows half if the server does not state the size
            self._shown.update(done, text)
        elif time.monotonic() - self._last >= QUIET_S:
            self._last = time.monotonic()
            self._shown.say(f"{name}: {text}")
