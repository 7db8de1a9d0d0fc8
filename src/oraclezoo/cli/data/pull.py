"""``oraclezoo data pull``: download the files of a lock, verified."""

from __future__ import annotations

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import emit_json, json_option, next_step, say
from oraclezoo.cli._shared.examples import example


@click.command("pull", epilog=example("oraclezoo data pull my-data.lock.toml --out my-data"))
@click.argument("lock", type=click.Path(dir_okay=False))
@click.argument("remote", required=False)
@options.out("Folder for the files.  [default: the lock's name without .lock.toml, beside it]")
@options.quiet
@json_option
def command(lock: str, remote: str | None, out: str | None, as_json: bool) -> None:
    """Download and verify the files of LOCK from REMOTE (default: the remote in the lock).

    Files that match the lock are kept; a file that differs is replaced. REMOTE is a folder that
    'oraclezoo data push' wrote.
    """
    from oraclezoo.cli._shared.locks import LockedFolder
    from oraclezoo.data.remote import pull

    at = LockedFolder.parse(lock, out, remote)
    downloaded = pull(at.lock, at.folder, at.remote, say)
    if as_json:
        emit_json("oraclezoo/data-pull/1", {"folder": str(at.folder), "downloaded": downloaded})
        return
    say(f"{downloaded} of {len(at.lock.files)} files downloaded; the others were there")
    click.echo(at.folder)
    next_step("data", "verify", at.folder, "--lock", lock)
