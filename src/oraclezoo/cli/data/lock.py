"""``oraclezoo data lock``: write a lock file with the digests and counts of a data set."""

from __future__ import annotations

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import App, complete_names, emit_json, json_option, next_step, say
from oraclezoo.cli._shared.examples import example


@click.command("lock", epilog=example("oraclezoo data lock my-data --source https://example.org"))
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--track",
    default="idx",
    show_default=True,
    metavar="NAME",
    shell_complete=complete_names("dataset"),
    help="Track that reads the files; see 'oraclezoo data list'.",
)
@click.option("--source", default="", metavar="TEXT", help="URL or citation of the data's source.")
@click.option(
    "--remote",
    default="",
    metavar="URL",
    help="URL of a copy, which 'data pull' uses by default, e.g. s3://bucket/folder.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Lock file.  [default: FOLDER's name with .lock.toml, beside it]",
)
@click.option("--overwrite", is_flag=True, help="Replace a lock of other data.")
@options.quiet
@json_option
@click.pass_obj
def command(
    app: App,
    folder: str,
    track: str,
    source: str,
    remote: str,
    out: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the digests, sizes and counts of the data set in FOLDER to a lock file.

    Keep the file under version control and name it in a recipe (data.lock = "bones.lock.toml"):
    training then requires the same data.
    """
    from pathlib import Path

    from oraclezoo.cli._shared.locks import SUFFIX
    from oraclezoo.data.lock import changes, lock_dataset
    from oraclezoo.errors import DataError, UsageError
    from oraclezoo.recipe.data_lock import DataLock
    from oraclezoo.storage import write_atomically

    place = Path(folder)
    path = Path(out) if out else place.resolve().with_name(place.resolve().name + SUFFIX)
    old = DataLock.read(path) if path.exists() and not overwrite else None
    dataset = app.registry.create("dataset", track, data_dir=place, progress=say)
    try:
        new = lock_dataset(dataset, place, track=track, source=source, remote=remote)
    except ValueError as error:
        raise UsageError(str(error)) from error
    different = changes(old, new) if old else []
    if different:
        raise DataError(
            f"{path}: the lock of other data: {'; '.join(different)}\n"
            "Pass --overwrite to record the change."
        )
    write_atomically(path, new.to_toml().encode())
    if as_json:
        counts = {name: split.images for name, split in new.splits.items()}
        data = {"lock": str(path), "digest": new.digest, "images": counts}
        emit_json("oraclezoo/data-lock-written/1", data)
        return
    counted = ", ".join(f"{split.images:,} {name}" for name, split in new.splits.items())
    say(f"{len(new.files)} files, {counted} images")
    say(f'in a recipe: data.lock = "{path.name}"')
    click.echo(path)
    if remote:
        next_step("data", "push", path, "--data-dir", folder)
    else:
        next_step("data", "verify", folder, "--lock", path)
