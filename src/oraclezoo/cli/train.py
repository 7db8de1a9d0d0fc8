"""``oraclezoo train``: train one recipe with one seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_recipes,
    emit_json,
    json_option,
    next_step,
    pass_app,
    stdout_to_stderr,
    wrapped,
)
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from oraclezoo.artifacts.record import Outcome, RunRecord


@click.command(
    "train", epilog=example("oraclezoo train default --track glyphs-3k -s budget.epochs=20")
)
@click.argument("recipe", default="default", shell_complete=complete_recipes)
@options.assignments
@options.track
@options.data_dir
@options.device
@options.stream_above
@options.engine
@options.trackers
@options.seed
@click.option("--out", default="runs", show_default=True, metavar="FOLDER", help="Folder for runs.")
@click.option("--resume", is_flag=True, help="Resume an unfinished run; bit-identical on the CPU.")
@click.option("--overwrite", is_flag=True, help="Replace an existing run.")
@click.option("--profile", is_flag=True, help="Profile a few steps; print a time breakdown.")
@options.quiet
@json_option
@pass_app
def command(
    app: App,
    recipe: str,
    assigned: tuple[str, ...],
    track: str | None,
    data_dir: str | None,
    device: str,
    stream_above: str | None,
    compile: str,
    deterministic: bool,
    trackers: tuple[str, ...],
    tracker_options: tuple[str, ...],
    seed: int,
    out: str,
    resume: bool,
    overwrite: bool,
    profile: bool,
    as_json: bool,
) -> None:
    """Train RECIPE (a name, SUITE/NAME or a .toml file) and write a run folder."""
    import json

    from oraclezoo.cli._shared.profile import profile_text
    from oraclezoo.cli._shared.progress import progress, stop_on_interrupt
    from oraclezoo.display import TrainingProgress
    from oraclezoo.recipe.suite import load_recipe
    from oraclezoo.training.train import train

    loaded = load_recipe(recipe, options.overrides(assigned, track))
    with (
        stdout_to_stderr(),
        progress(f"{loaded.name} seed {seed}", 1) as lines,
        stop_on_interrupt(lines.say) as should_stop,
    ):
        shown = TrainingProgress(lines, loaded.budget.epochs)
        run = train(
            loaded,
            data_dir=data_dir,
            seed=seed,
            device=device,
            stream_above=stream_above,
            compile=compile,
            deterministic=deterministic,
            profile=profile,
            trackers=options.chosen_trackers(trackers, tracker_options),
            out=out,
            resume=resume,
            overwrite=overwrite,
            registry=app.registry,
            on_epoch=shown.on_epoch,
            on_step=shown.on_step,
            should_stop=should_stop,
            progress=lines.say,
        )
    record = run.record
    trace = json.loads((run.folder / "profile.json").read_text("utf-8")) if profile else None
    if as_json:
        extra = {} if trace is None else {"profile": trace}
        emit_json("oraclezoo/train/1", {"folder": str(run.folder), **record.to_json(), **extra})
        return
    click.echo(f"{run.folder}\n{wrapped(_outcome_text(record, run.outcome))}")
    if trace is not None:
        click.echo(profile_text(trace, run.folder))
    next_step("evaluate", run.folder)


def _outcome_text(record: RunRecord, outcome: Outcome) -> str:
    hardware, peak = record.provenance.hardware, outcome.peak_memory_bytes
    compiled = f" (compilation {outcome.compile_s:.1f} s)" if outcome.compile_s else ""
    memory = "" if peak is None else f", peak memory {peak / 1e6:,.0f} MB"
    accuracy, images = outcome.validation_accuracy, record.validation_images
    validation = (
        f"no validation: its {images} images were trained on (data.refit)"
        if accuracy is None
        else f"validation accuracy {100 * accuracy:.1f}% on {images} images"
    )
    return (
        f"{validation}, training time {outcome.train_s:.1f} s{compiled} "
        f"on {hardware['device']} ({hardware['threads']} threads){memory}"
    )
