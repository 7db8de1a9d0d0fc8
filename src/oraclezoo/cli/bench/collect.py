"""``oraclezoo bench collect``: finish a campaign and print its results."""

from __future__ import annotations

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import App, json_option, pass_app
from oraclezoo.cli._shared.examples import example


@click.command("collect", epilog=example("oraclezoo bench collect --published"))
@click.argument("campaign", required=False)
@options.runs
@options.executor
@click.option("--published", is_flag=True, help="Include the published results of the track.")
@options.quiet
@json_option
@pass_app
def command(
    app: App,
    campaign: str | None,
    runs: str,
    on: str | None,
    executor_options: tuple[str, ...],
    published: bool,
    as_json: bool,
) -> None:
    """Finish CAMPAIGN (an identifier or a folder; by default the only one) and print its results.

    Waits for the process that supervises it, if there is one; otherwise submits unfinished jobs.
    --on continues with a different executor. Exit status 1 if any job failed.
    """
    from pathlib import Path

    from oraclezoo.benching.bench import bench
    from oraclezoo.benching.placed import call_of
    from oraclezoo.cli._shared.progress import bench_reporter, progress
    from oraclezoo.cli.bench import show
    from oraclezoo.executors.campaign import find

    call, record = call_of(find(campaign, Path(runs)))
    chosen = options.chosen_executor(on or record.executor, executor_options)
    with progress("bench", len(call.recipes) * (len(call.seeds) + 1)) as lines:
        results = bench(
            **call.arguments(),
            on=on or record.executor,
            executor_options=chosen if on else {**record.options, **chosen},
            registry=app.registry,
            report=bench_reporter(lines),
            progress=lines.say,
        )
    show(results, str(call.out), published=published, robust=call.robust, as_json=as_json)
