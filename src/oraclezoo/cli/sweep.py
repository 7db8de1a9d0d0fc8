"""``oraclezoo sweep``: search over keys of a recipe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_recipes,
    emit_json,
    json_option,
    next_step,
    pass_app,
    print_table,
    say,
    stdout_to_stderr,
)
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from oraclezoo.display import Lines
    from oraclezoo.sweeping.records import Trial
    from oraclezoo.sweeping.sweep import Sweep

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@click.command(
    "sweep", epilog=example("oraclezoo sweep quick -p optimizer.lr=log:0.01:1 --trials 10")
)
@click.argument("recipe", required=False, shell_complete=complete_recipes)
@click.option(
    "-p",
    "--space",
    "space",
    multiple=True,
    metavar="KEY=VALUES",
    help="Vary a key: optimizer.lr=log:0.01:1, budget.batch_size=64,128; repeatable.",
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Read the sweep from a TOML file; options override it.",
)
@options.assignments
@options.track
@options.data_dir
@options.device
@options.stream_above
@click.option(
    "--sampler",
    type=click.Choice(["random", "grid", "tpe", "gp"]),
    help="Optuna sampler that proposes points.  [default: random]",
)
@click.option(
    "--pruner",
    type=click.Choice(["none", "median", "halving", "hyperband"]),
    help="Optuna pruner that stops unpromising trials early.  [default: none]",
)
@click.option(
    "--metric",
    type=click.Choice(["accuracy", "loss"]),
    help="Metric to optimize.  [default: accuracy]",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    help="Number of trials.  [default: the whole grid, or 20]",
)
@click.option("--timeout", metavar="TIME", help="Time limit, e.g. 90, 30m or 2h.")
@click.option(
    "--seeds", type=click.IntRange(min=1), help="Number of seeds to train per trial.  [default: 1]"
)
@click.option(
    "--folds",
    type=click.IntRange(min=0),
    help="Evaluate trials by N-fold cross-validation on training and validation images.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the sampler.  [default: 0]")
@click.option("--out", metavar="FOLDER", help="Folder of the sweep.  [default: sweeps/RECIPE]")
@click.option("--keep-runs", is_flag=True, help="Keep the run folders of all trials.")
@options.executor
@options.quiet
@json_option
@pass_app
def command(
    app: App,
    /,
    recipe: str | None,
    space: tuple[str, ...],
    file: str | None,
    assigned: tuple[str, ...],
    track: str | None,
    data_dir: str | None,
    device: str,
    stream_above: str | None,
    timeout: str | None,
    out: str | None,
    keep_runs: bool,
    on: str | None,
    executor_options: tuple[str, ...],
    as_json: bool,
    **arguments: Any,
) -> None:
    """Train RECIPE with many settings; print a table and write the best recipe.

    Trials are evaluated on validation images or by cross-validation, never on the test split. The
    same command resumes a sweep that was stopped or killed. Exit status 1 if every trial failed.
    Requires the [sweep] extra.
    """
    from dataclasses import asdict, replace

    from oraclezoo.cli._shared.progress import progress, stop_on_interrupt
    from oraclezoo.errors import JobError
    from oraclezoo.recipe import Recipe
    from oraclezoo.sweeping.file import SweepFile, read_sweep
    from oraclezoo.sweeping.records import TRIALS
    from oraclezoo.sweeping.report import document
    from oraclezoo.sweeping.sweep import sweep

    content = read_sweep(file) if file else SweepFile()
    settings = replace(content.settings, **{k: v for k, v in arguments.items() if v is not None})
    limit = timeout or content.timeout
    changes = {**content.changes, **options.overrides(assigned, track)}
    loaded = Recipe.load(recipe or content.recipe or "default", changes)
    with (
        stdout_to_stderr(),
        progress(f"sweep of {loaded.name}", settings.trials or TRIALS) as lines,
        stop_on_interrupt(lines.say) as should_stop,
    ):
        result = sweep(
            loaded,
            {**content.space, **_space(space)},
            **asdict(settings),
            timeout_s=None if limit is None else seconds(limit),
            data_dir=data_dir,
            device=device,
            stream_above=stream_above,
            out=out,
            keep_runs=keep_runs,
            on=on,
            executor_options=options.chosen_executor(on, executor_options),
            registry=app.registry,
            on_trial=lambda trial: _report(lines, trial),
            on_step=lambda trials: lines.update(trials, lines.text or "trial 0"),
            should_stop=should_stop,
            progress=lines.say,
        )
        _draw(result)
    if as_json:
        emit_json("oraclezoo/sweep/1", document(result))
    else:
        _show(result)
        if result.best is not None and result.complete:
            next_step("train", result.folder / "best.toml")
    if result.best is None and any(trial.status != "running" for trial in result.trials):
        raise JobError(f"every trial failed; see the reasons in {result.folder}")


def _report(lines: Lines, trial: Trial) -> None:
    from oraclezoo.sweeping.space import point_text

    outcome = f"{100 * trial.accuracy:.1f}%" if trial.status == "done" else trial.status
    reason = f" ({trial.reason})" if trial.reason else ""
    lines.say(f"trial {trial.number}: {outcome} with {point_text(trial.point)}{reason}")
    lines.update(trial.number + 1, f"trial {trial.number}: {outcome}")


def seconds(text: str) -> float:
    """Return the seconds in ``90``, ``90s``, ``1.5m`` or ``2h``. Raises UsageError."""
    from oraclezoo.errors import UsageError

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", text)
    if match is None:
        raise UsageError(f"'{text}' is not a time; write it as 90, 30m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def _space(pairs: tuple[str, ...]) -> dict[str, object]:
    from oraclezoo.errors import UsageError

    axes: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip() or not text.strip():
            raise UsageError(f"'{pair}' is not of the form key=values, e.g. -p optimizer.lr=0.1:1")
        key = key.strip()
        if key in axes:
            raise UsageError(f"-p {key} is set twice; list its values after one '='")
        axes[key] = text.strip()
    return axes


def _draw(result: Sweep) -> None:
    from oraclezoo.errors import OracleZooError
    from oraclezoo.sweeping.report import figures

    try:
        figures(result)
    except OracleZooError as error:  # without matplotlib
        say(f"no figures: {error}")


def _show(result: Sweep) -> None:
    from oraclezoo.sweeping.report import header, rows

    print_table(header(), rows(result))
    weight = result.importance
    if weight is not None:
        listed = ", ".join(f"{key} {100 * share:.0f}%" for key, share in weight.shares.items())
        click.echo(f"importance ({weight.method}): {listed}")
    click.echo(f"judged on {result.judged}; the test split was not read")
    if result.best is not None:
        click.echo(f"best: {result.folder}/best.toml")
    if not result.complete:
        click.echo("the time limit has passed; run the same command again to resume")
