"""``oraclezoo bench``: benchmark recipes according to the protocol; campaigns on executors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_recipes,
    complete_suites,
    emit_json,
    json_option,
    next_step,
    pass_app,
    say,
)
from oraclezoo.cli._shared.default import DefaultCommand
from oraclezoo.cli._shared.examples import example
from oraclezoo.errors import command_line

if TYPE_CHECKING:
    from oraclezoo.result import Result

REAL = (
    "These images are synthetic: the accuracies do not carry over to real characters.\n"
    "For real images: oraclezoo bench --track oracle-mnist-3k   "
    "(downloads 1.5 MB; or pass --data-dir FOLDER)"
)


SUBCOMMANDS = {
    "status": ("oraclezoo.cli.bench.status:command", "Count the jobs of campaigns by state."),
    "collect": ("oraclezoo.cli.bench.collect:command", "Finish a campaign; print a leaderboard."),
    "cancel": ("oraclezoo.cli.bench.cancel:command", "Stop a campaign; its state is kept."),
}
"""Import target and help line of each subcommand. A file of that name is a recipe as ./NAME."""


@click.command(
    "bench",
    cls=DefaultCommand,
    targets=SUBCOMMANDS,
    epilog=example("oraclezoo bench default tiny --track glyphs-3k --seeds 5"),
)
@click.argument("recipes", nargs=-1, shell_complete=complete_recipes)
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_suites,
    help="Add all recipes of a suite; repeatable.",
)
@options.assignments
@options.track
@options.data_dir
@options.device
@options.stream_above
@options.engine
@options.trackers
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of seeds: 0, 1, ...",
)
@click.option(
    "--accuracy-only",
    is_flag=True,
    help="Train several seeds concurrently; timing is not reported.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Concurrent seeds with --accuracy-only.  [default: as many as cores or memory allow]",
)
@click.option(
    "--robust",
    is_flag=True,
    help="Also evaluate on corrupted test images (docs/explanation/robustness.md).",
)
@click.option(
    "--compress",
    multiple=True,
    metavar="STEPS",
    help="Also benchmark a compressed variant, e.g. int8 or prune50+int8; repeatable.",
)
@click.option(
    "--out", default="results", show_default=True, metavar="FOLDER", help="Folder for results."
)
@options.runs
@click.option("--overwrite", is_flag=True, help="Repeat finished jobs instead of reusing them.")
@click.option("--published", is_flag=True, help="Include the published results of the track.")
@options.executor
@click.option(
    "--detach",
    is_flag=True,
    help="Run the campaign in the background and return; see 'bench status'.",
)
@click.option("--leave", is_flag=True, hidden=True)
@options.quiet
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
    on: str | None,
    executor_options: tuple[str, ...],
    detach: bool,
    leave: bool,
    as_json: bool,
) -> None:
    """Benchmark RECIPES (names or .toml files; by default those of --suite quick).

    A comparable leaderboard row needs five seeds. Finished jobs are kept: after an interruption,
    run the same command again to resume. Exit status 1 if any job failed. With --on, an executor
    runs the jobs; times are reported only if it has exclusive nodes.
    """
    from oraclezoo.benching.bench import bench
    from oraclezoo.cli._shared.progress import bench_reporter, progress
    from oraclezoo.recipe.suite import gather

    chosen = options.chosen_executor(on or ("local" if detach else None), executor_options)
    if detach:
        from oraclezoo.cli.bench.detach import start

        start(sys.argv[1:], runs, as_json=as_json)
        return
    if not recipes and not suites:
        suites = ("quick",)
    loaded = gather(recipes, suites, options.overrides(assigned, track))
    with progress("bench", len(loaded) * (len(compress) + 1) * (seeds + 1)) as lines:
        results = bench(
            loaded,
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
            on=on,
            executor_options=chosen,
            leave=leave,
            report=bench_reporter(lines),
            progress=lines.say,
            command=command_line("oraclezoo", *sys.argv[1:]),
        )
    if not (leave and not results):
        show(results, out, published=published, robust=robust, as_json=as_json)


def show(results: list[Result], out: str, *, published: bool, robust: bool, as_json: bool) -> None:
    """Print results as tables or as JSON. Raises JobError if any job failed."""
    from oraclezoo.errors import JobError

    if as_json:
        emit_json("oraclezoo/bench/1", [result.to_json_dict() for result in results])
    else:
        _tables(results, out, published, robust)
    failed = sum(len(result.failures) for result in results)
    if failed:
        raise JobError(f"{failed} jobs failed; see the failures in the results in {out}")
    if not as_json:
        next_step("leaderboard", out, "--published")


def _tables(results: list[Result], out: str, published: bool, robust: bool) -> None:
    """Print the tables that contain these results, including other results in the folder."""
    from rich.console import Console

    from oraclezoo.errors import ResultError
    from oraclezoo.ranking.load import entry_of, load_results, published_folder
    from oraclezoo.ranking.table import tables

    try:
        entries = load_results([out, published_folder()] if published else [out])
    except ResultError as error:  # an unrelated file in the folder; show the new results
        say(f"{error}; the table shows only the new results")
        entries = [entry_of(result) for result in results]
    places = {(result.track.name, result.track.division) for result in results}
    console = Console()
    for table in tables(entries):
        if (table.track, table.division) in places:
            console.print(table.to_rich(robust=robust))
    if any(result.track.synthetic for result in results):
        console.print(REAL, highlight=False)
