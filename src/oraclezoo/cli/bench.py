"""``oraclezoo bench``: train and measure recipes by the protocol, and show where they stand."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, emit_json, json_option, pass_app, say

if TYPE_CHECKING:
    from oraclezoo.result import Result

REAL = (
    "These images are generated (synthetic): the table says what trains, not what reads real "
    "characters.\nFor real ones: oraclezoo bench --track oracle-mnist-3k   "
    "(downloads 1.5 MB, or --data-dir FOLDER with the files)"
)


@click.command("bench")
@click.argument("recipes", nargs=-1)
@click.option("--suite", "suites", multiple=True, help="A named list of recipes; may be repeated.")
@options.assignments
@options.track
@options.data_dir
@options.device
@options.stream_above
@options.engine
@options.trackers
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="0, 1, ...")
@click.option(
    "--accuracy-only", is_flag=True, help="Train many seeds at once; no times come of it."
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Seeds at a time with --accuracy-only; by default as many as there are cores or room.",
)
@click.option(
    "--robust", is_flag=True, help="Score corrupted test images as well (docs/robustness.md)."
)
@click.option(
    "--compress",
    multiple=True,
    metavar="STEPS",
    help="Add a row of each net compressed, e.g. int8 or prune50+int8; may be repeated.",
)
@click.option("--out", default="results", show_default=True, help="Folder for results.")
@click.option("--runs", default="runs", show_default=True, help="Folder for run folders.")
@click.option("--overwrite", is_flag=True, help="Measure again what the runs folder holds already.")
@click.option("--published", is_flag=True, help="Show the published rows of the track as well.")
@json_option
@pass_app
def command(
    app: App,
    recipes: tuple[str, ...],
    suites: tuple[str, ...],
    assigned: tuple[str, ...],
    track: str | None,
    data_dir: str | None,
    device: str,
    stream_above: str | None,
    compile: str,
    deterministic: bool,
    trackers: tuple[str, ...],
    tracker_options: tuple[str, ...],
    seeds: int,
    accuracy_only: bool,
    jobs: int | None,
    robust: bool,
    compress: tuple[str, ...],
    out: str,
    runs: str,
    overwrite: bool,
    published: bool,
    as_json: bool,
) -> None:
    """Train and measure RECIPES, names or .toml files; without any, those of --suite quick.

    Five seeds a recipe make a row that can be compared. Finished jobs are kept: run the same
    command again to go on after a stop. Exit status 1 if any job failed.
    """
    from oraclezoo.benching.bench import bench
    from oraclezoo.cli._progress import bench_reporter, progress
    from oraclezoo.errors import JobError
    from oraclezoo.recipe.suite import gather

    if not recipes and not suites:
        suites = ("quick",)
    chosen = gather(recipes, suites, options.overrides(assigned, track))
    with progress("bench", len(chosen) * (len(compress) + 1) * (seeds + 1)) as lines:
        results = bench(
            chosen,
            seeds=seeds,
            data_dir=data_dir,
            device=device,
            stream_above=stream_above,
            compile=compile,
            deterministic=deterministic,
            accuracy_only=accuracy_only,
            jobs=jobs,
            robust=robust,
            compress=compress,
            trackers=options.chosen_trackers(trackers, tracker_options),
            out=out,
            runs=runs,
            overwrite=overwrite,
            registry=app.registry,
            report=bench_reporter(lines),
            progress=lines.say,
            command=shlex.join(["oraclezoo", *sys.argv[1:]]),
        )
    if as_json:
        emit_json("oraclezoo/bench/1", [result.to_json_dict() for result in results])
    else:
        _show(results, out, published, robust)
    failed = sum(len(result.failures) for result in results)
    if failed:
        raise JobError(f"{failed} of the jobs failed; their reasons are in {out}")


def _show(results: list[Result], out: str, published: bool, robust: bool) -> None:
    """The tables that these results stand in, with what else the results folder holds of them."""
    from rich.console import Console

    from oraclezoo.errors import ResultError
    from oraclezoo.ranking.load import entry_of, load_results, published_folder
    from oraclezoo.ranking.table import tables

    try:
        entries = load_results([out, published_folder()] if published else [out])
    except ResultError as error:  # some other file there; what was just measured is shown
        say(f"{error}; the table shows these results alone")
        entries = [entry_of(result) for result in results]
    places = {(result.track.name, result.track.division) for result in results}
    console = Console()
    for table in tables(entries):
        if (table.track, table.division) in places:
            console.print(table.to_rich(robust=robust))
    if any(result.track.synthetic for result in results):
        console.print(REAL, highlight=False)
