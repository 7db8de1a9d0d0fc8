"""``oraclezoo leaderboard``: rank results, with confidence intervals and ties."""

from __future__ import annotations

from pathlib import Path

import click

from oraclezoo.cli._shared.app import complete_names, emit_json, json_option
from oraclezoo.cli._shared.examples import example

FORMATS = ("rich", "markdown", "json", "csv")
COLUMNS = ("components", "cost", "ties", "robust")


@click.command("leaderboard", epilog=example("oraclezoo leaderboard results --published"))
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--published", is_flag=True, help="Include the published results bundled with oraclezoo."
)
@click.option(
    "--track",
    metavar="NAME",
    shell_complete=complete_names("dataset"),
    help="Only results of this track.",
)
@click.option(
    "--division", type=click.Choice(("closed", "open")), help="Only results of this division."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="rich",
    show_default=True,
    help="Output format.",
)
@click.option(
    "--columns",
    type=click.Choice(COLUMNS),
    multiple=True,
    help="Add columns; repeatable. robust: calibration error and accuracy on corrupted images "
    "(bench --robust). The other groups are for the terminal; Markdown always has them.",
)
@click.option("--explain", is_flag=True, help="Print definitions of the figures below the table.")
@json_option
def command(
    results: tuple[Path, ...],
    published: bool,
    track: str | None,
    division: str | None,
    form: str,
    columns: tuple[str, ...],
    explain: bool,
    as_json: bool,
) -> None:
    """Rank RESULTS (files and folders; ./results by default).

    Prints one table for each track and division, with 95% confidence intervals, sorted by mean
    accuracy. The rank is one plus the number of significantly better rows.
    """
    from oraclezoo.ranking.load import load_results, published_folder
    from oraclezoo.ranking.table import tables

    sources = list(results)
    if not sources and (not published or Path("results").is_dir()):
        sources.append(Path("results"))
    if published:
        sources.append(published_folder())
    boards = tables(load_results(sources), track=track, division=division)
    robust = "robust" in columns
    if as_json or form == "json":
        emit_json("oraclezoo/leaderboard/1", {"tables": [table.to_json() for table in boards]})
    elif form == "csv":
        click.echo("".join(t.to_csv(header=t is boards[0]) for t in boards), nl=False)
    elif form == "markdown":
        click.echo("\n".join(table.to_markdown(robust=robust) for table in boards), nl=False)
    else:
        from rich.console import Console

        for table in boards:
            Console().print(table.to_rich(columns=columns, explain=explain))
