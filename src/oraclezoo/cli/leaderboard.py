"""``oraclezoo leaderboard``: results ranked, with intervals, and ties said to be ties."""

from __future__ import annotations

from pathlib import Path

import click

from oraclezoo.cli._base import emit_json, json_option

FORMATS = ("rich", "markdown", "json", "csv")


@click.command("leaderboard")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option("--published", is_flag=True, help="Add the results that came with oraclezoo.")
@click.option("--track", metavar="NAME", help="Only results of this track.")
@click.option("--division", type=click.Choice(("closed", "open")), help="Only of this division.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="rich", show_default=True)
@click.option(
    "--columns",
    type=click.Choice(("robust",)),
    multiple=True,
    help="Further columns: calibration, and accuracy on corrupted images (bench --robust).",
)
@json_option
def command(
    results: tuple[Path, ...],
    published: bool,
    track: str | None,
    division: str | None,
    form: str,
    columns: tuple[str, ...],
    as_json: bool,
) -> None:
    """Rank RESULTS: files and folders (./results if none is given).

    One table for each track and division, with 95% intervals; rows that are not told apart are
    named as ties.
    """
    from oraclezoo.ranking.load import load_results, published_folder
    from oraclezoo.ranking.table import tables

    sources = list(results)
    if not sources and (not published or Path("results").is_dir()):
        sources.append(Path("results"))
    if published:
        sources.append(published_folder())
    made = tables(load_results(sources), track=track, division=division)
    robust = "robust" in columns
    if as_json or form == "json":
        emit_json("oraclezoo/leaderboard/1", {"tables": [table.to_json() for table in made]})
    elif form == "csv":
        click.echo("".join(t.to_csv(header=t is made[0]) for t in made), nl=False)
    elif form == "markdown":
        click.echo("\n".join(table.to_markdown(robust=robust) for table in made), nl=False)
    else:
        from rich.console import Console

        for table in made:
            Console().print(table.to_rich(robust=robust))
