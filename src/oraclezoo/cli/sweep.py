"""``oraclezoo sweep``: many trainings that differ in a few keys of a recipe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import (
    App,
    emit_json,
    json_option,
    pass_app,
    print_table,
    say,
    stdout_to_stderr,
)

if TYPE_CHECKING:
    from oraclezoo.cli._progress import Lines
    from oraclezoo.pipeline.sweep import Sweep
    from oraclezoo.pipeline.sweep_journal import Trial

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@click.command("sweep")
@click.argument("recipe", required=False)
@click.option(
    "-p",
    "--space",
    "space",
    multiple=True,
    metavar="KEY=VALUES",
    help="Vary a key: optimizer.lr=log:0.01:1, budget.batch_size=64,128; may be repeated.",
)
@click.option("--file", type=click.Path(dir_okay=False), help="A sweep as a TOML file.")
@options.assignments
@options.track
@options.data_dir
@options.device
@options.stream_above
@click.option(
    "--sampler",
    type=click.Choice(["random", "grid", "tpe", "gp"]),
    help="How points are chosen; tpe and gp are Optuna's.  [default: random]",
)
@click.option(
    "--pruner",
    type=click.Choice(["none", "median", "halving", "hyperband"]),
    help="How hopeless trials are given up early; all are Optuna's.  [default: none]",
)
@click.option(
    "--metric",
    type=click.Choice(["accuracy", "loss"]),
    help="What the best trial is best in.  [default: accuracy]",
)
@click.option(
    "--trials", type=click.IntRange(min=1), help="How many.  [default: the whole grid, or 20]"
)
@click.option("--timeout", metavar="TIME", help="Stop after so long, e.g. 90, 30m, 2h.")
@click.option("--seeds", type=click.IntRange(min=1), help="Trainings a trial.  [default: 1]")
@click.option(
    "--folds",
    type=click.IntRange(min=0),
    help="Cross-validate in so many folds of training and validation, instead of validating.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of the sampler.  [default: 0]")
@click.option("--out", metavar="FOLDER", help="Folder of the sweep; by default sweeps/RECIPE.")
@click.option("--keep-runs", is_flag=True, help="Keep the run folders of all trials.")
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
    as_json: bool,
    **given: Any,
) -> None:
    """Train RECIPE at many settings; print a table and write the best one's recipe.

    Trials are judged on validation images or by cross-validation, never on the test split. A sweep
    that was stopped or killed goes on when the same command is run again. Exit status 1 if no trial
    could be trained.
    """
    from oraclezoo.cli._progress import progress, stop_on_interrupt
    from oraclezoo.errors import JobError
    from oraclezoo.pipeline.sweep import TRIALS, sweep
    from oraclezoo.pipeline.sweep_file import read_sweep
    from oraclezoo.pipeline.sweep_report import document
    from oraclezoo.recipe import Recipe

    settings = read_sweep(file) if file else {}
    source = recipe or settings.pop("recipe", "default")
    changes = {**settings.pop("set", {}), **options.overrides(assigned, track)}
    axes = {**settings.pop("space", {}), **_space(space)}
    limit = timeout or settings.pop("timeout", None)
    for unused in ("recipe", "timeout"):
        settings.pop(unused, None)
    settings.update({key: value for key, value in given.items() if value is not None})
    loaded = Recipe.load(source, changes)
    with (
        progress(f"sweep of {loaded.name}", settings.get("trials") or TRIALS) as lines,
        stop_on_interrupt(lines.say) as should_stop,
        stdout_to_stderr(),
    ):
        found = sweep(
            loaded,
            axes,
            **settings,
            timeout_s=None if limit is None else seconds(str(limit)),
            data_dir=data_dir,
            device=device,
            stream_above=stream_above,
            out=out,
            keep_runs=keep_runs,
            registry=app.registry,
            on_trial=lambda trial: _tell(lines, trial),
            should_stop=should_stop,
            progress=lines.say,
        )
        _draw(found)
    if as_json:
        emit_json("oraclezoo/sweep/1", document(found))
    else:
        _show(found)
    if found.best is None and any(trial.status != "running" for trial in found.trials):
        raise JobError(f"no trial is done; the reasons are in {found.folder}")


def _tell(lines: Lines, trial: Trial) -> None:
    """That a trial is over, and what came of it."""
    from oraclezoo.pipeline.sweep_space import point_text

    came = f"{100 * trial.accuracy:.1f}%" if trial.status == "done" else trial.status
    why = f" ({trial.reason})" if trial.reason else ""
    lines.say(f"trial {trial.number}: {came} with {point_text(trial.point)}{why}")
    lines.update(trial.number + 1, "trials")


def seconds(text: str) -> float:
    """Seconds in ``90``, ``90s``, ``1.5m`` or ``2h``. Raises UsageError."""
    from oraclezoo.errors import UsageError

    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", text)
    if found is None:
        raise UsageError(f"'{text}' is no time; write it as 90, 30m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def _space(pairs: tuple[str, ...]) -> dict[str, object]:
    from oraclezoo.errors import UsageError

    axes: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip() or not text.strip():
            raise UsageError(f"'{pair}' is not of the form key=values, e.g. -p optimizer.lr=0.1:1")
        axes[key.strip()] = text.strip()
    return axes


def _draw(found: Sweep) -> None:
    from oraclezoo.errors import OracleZooError
    from oraclezoo.pipeline.sweep_report import figures

    try:
        figures(found)
    except OracleZooError as error:  # without matplotlib
        say(f"no figures: {error}")


def _show(found: Sweep) -> None:
    from oraclezoo.pipeline.sweep_report import header, rows

    print_table(header(), rows(found))
    weight = found.importance
    if weight is not None:
        listed = ", ".join(f"{key} {100 * share:.0f}%" for key, share in weight.shares.items())
        click.echo(f"importance ({weight.method}): {listed}")
    click.echo(f"judged on {found.judged}; the test split was not read")
    if found.best is not None:
        click.echo(f"best: {found.folder}/best.toml")
    if not found.complete:
        click.echo("time is over; run the same command again to go on")
