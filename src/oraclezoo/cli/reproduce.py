"""``oraclezoo reproduce``: run a result again and say whether it came out as it states."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, emit_json, json_option, pass_app

if TYPE_CHECKING:
    from oraclezoo.ranking.reproduction.record import Reproduction


@click.command("reproduce")
@click.argument("result", metavar="RESULT")
@click.option(
    "--seeds", type=click.IntRange(min=1), metavar="N", help="Only the first N seeds; it says so."
)
@options.data_dir
@options.device
@click.option(
    "--at-once",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Seeds at a time.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Keep what is trained there; the same command goes on after a stop. Else nothing is kept.",
)
@click.option(
    "--records",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Folder for the record; else 'reproductions' beside RESULT, which leaderboards count.",
)
@json_option
@pass_app
def command(
    app: App,
    result: str,
    seeds: int | None,
    data_dir: str | None,
    device: str,
    at_once: int,
    out: str | None,
    records: str | None,
    as_json: bool,
) -> None:
    """Run RESULT, a result's file or a published id, again from its own recipe.

    The verdict is 'same', 'within spread' or 'differs', by the rules of docs/reproduce.md; exit
    status 3 if it differs.
    """
    from pathlib import Path

    from oraclezoo.cli._progress import bench_reporter, progress
    from oraclezoo.errors import VerificationError
    from oraclezoo.publish.reproduce import Rerun, reproduce

    with progress("reproduce", (seeds or 5) + 1) as lines:
        record, path = reproduce(
            result,
            Rerun(
                seeds=seeds,
                data_dir=None if data_dir is None else Path(data_dir),
                device=device,
                jobs=at_once,
                out=None if out is None else Path(out),
                records=None if records is None else Path(records),
                command=shlex.join(["oraclezoo", *sys.argv[1:]]),
            ),
            registry=app.registry,
            report=bench_reporter(lines),
            progress=lines.say,
        )
    if as_json:
        emit_json("oraclezoo/reproduce/1", {"file": str(path), "record": record.to_json_dict()})
    else:
        _show(record, str(path))
    if record.verdict == "differs":
        raise VerificationError(f"{record.result_id} differs: {'; '.join(record.against)}")


def _show(record: Reproduction, path: str) -> None:
    """Seeds one a line, then the verdict and what it goes by."""
    for pair in record.seeds:
        click.echo(
            f"seed {pair.seed}: stated {100 * pair.accuracy_stated:.2f}%, "
            f"found {100 * pair.accuracy_found:.2f}%, {pair.answers_changed} answers changed, "
            f"largest change of a probability {pair.largest_change:.2g}"
        )
    text = f"difference {100 * record.difference:+.2f} points, paired p {record.p:.2g}"
    if record.limit is not None:
        text += f"; the spread over the result's seeds allows {100 * record.limit:.2f}"
    if record.answers_p is not None:
        text += f"; answers alike, p {record.answers_p:.2g}"
    if record.corrupted_difference is not None:
        text += f"; on corrupted images {100 * record.corrupted_difference:+.2f} points"
    click.echo(text)
    part = "" if record.complete else f" (of {len(record.seeds)} seeds alone: not counted)"
    click.echo(click.style(f"verdict: {record.verdict}{part}", bold=True))
    click.echo(f"record: {path}")
