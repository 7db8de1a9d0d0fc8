"""``oraclezoo data push``: upload the files of a lock."""

from __future__ import annotations

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import emit_json, json_option, next_step, say
from oraclezoo.cli._shared.examples import example


@click.command("push", epilog=example("oraclezoo data push my-data.lock.toml s3://bucket/my-data"))
@click.argument("lock", type=click.Path(dir_okay=False))
@click.argument("remote", required=False)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Folder of the files.  [default: the lock's name without .lock.toml, beside it]",
)
@options.quiet
@json_option
def command(lock: str, remote: str | None, data_dir: str | None, as_json: bool) -> None:
    """Upload the files of LOCK to REMOTE (default: the remote in the lock).

    REMOTE is an fsspec URL or a path: s3://bucket/folder, gs://..., file:///... or a folder.
    Files are stored under their SHA-256, so that nothing is replaced and identical files are
    stored once. Credentials come from the environment.
    """
    from oraclezoo.cli._shared.locks import LockedFolder
    from oraclezoo.data.remote import push

    at = LockedFolder.parse(lock, data_dir, remote)
    uploaded, total = push(at.lock, at.folder, at.remote, say), len(at.lock.files)
    if as_json:
        emit_json("oraclezoo/data-push/1", {"uploaded": uploaded, "files": total})
        return
    click.echo(f"{uploaded} of {total} files uploaded; the others were there")
    next_step("data", "pull", lock, *((remote,) if remote else ()))
