"""``oraclezoo reproduce``: reproduce a result and compare it with the original."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_results,
    emit_json,
    json_option,
    next_step,
    pass_app,
)
from oraclezoo.cli._shared.examples import example
from oraclezoo.errors import command_line

if TYPE_CHECKING:
    from oraclezoo.ranking.reproduction.record import Reproduction


@click.command("reproduce", epilog=example("oraclezoo reproduce results/my-result.json --seeds 1"))
@click.argument("result", metavar="RESULT", shell_complete=complete_results)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train only the first N seeds; the record is marked incomplete.",
)
@options.data_dir
@options.device
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Concurrent seeds.",
)
@options.out("Folder for runs, so that an interrupted command resumes.  [default: keep nothing]")
@click.option(
    "--records",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Folder for the record.  [default: 'reproductions' next to RESULT, which leaderboards "
    "read]",
)
@options.quiet
@json_option
@pass_app
def command(
    app: App,
    result: str,
    seeds: int | None,
    data_dir: str | None,
    device: str,
    jobs: int,
    out: str | None,
    records: str | None,
    as_json: bool,
) -> None:
    """Reproduce RESULT (a result file or a published id) from its recipe.

    The verdict is 'same', 'within spread' or 'differs', as defined in
    docs/how-to/publish/reproduce.md. Exit status 3 if it differs.
    """
    from pathlib import Path

    from oraclezoo.cli._shared.progress import bench_reporter, progress
    from oraclezoo.errors import VerificationError
    from oraclezoo.publish.reproduce import Rerun, reproduce

    with progress("reproduce", (seeds or 5) + 1) as lines:
        record, path = reproduce(
            result,
            Rerun(
                seeds=seeds,
                data_dir=None if data_dir is None else Path(data_dir),
                device=device,
                jobs=jobs,
                out=None if out is None else Path(out),
                records=None if records is None else Path(records),
                command=command_line("oraclezoo", *sys.argv[1:]),
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
    if not as_json:
        next_step("submit", path)


def _show(record: Reproduction, path: str) -> None:
    """Print one line per seed, then the verdict and its statistics."""
    for pair in record.seeds:
        click.echo(
            f"seed {pair.seed}: reported {100 * pair.accuracy_stated:.2f}%, "
            f"reproduced {100 * pair.accuracy_found:.2f}%, "
            f"{pair.answers_changed} predictions changed, "
            f"largest probability change {pair.largest_change:.2g}"
        )
    text = f"difference {100 * record.difference:+.2f} points, paired p {record.p:.2g}"
    if record.limit is not None:
        text += f"; limit from the spread over seeds {100 * record.limit:.2f} points"
    if record.answers_p is not None:
        text += f"; agreement of predictions, p {record.answers_p:.2g}"
    if record.corrupted_difference is not None:
        text += f"; on corrupted images {100 * record.corrupted_difference:+.2f} points"
    click.echo(text)
    part = "" if record.complete else f" (only {len(record.seeds)} seeds, so not counted)"
    click.echo(click.style(f"verdict: {record.verdict}{part}", bold=True))
    click.echo(f"record: {path}")
