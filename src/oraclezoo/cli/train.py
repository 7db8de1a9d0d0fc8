"""``oraclezoo train``: one training of one recipe at one seed."""

from __future__ import annotations

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, emit_json, json_option, pass_app, stdout_to_stderr


@click.command("train")
@click.argument("recipe", default="default")
@options.assignments
@options.track
@options.data_dir
@options.device
@options.stream_above
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--out", default="runs", show_default=True, help="Folder for run folders.")
@click.option(
    "--resume", is_flag=True, help="Go on with an unfinished run; on the CPU it ends bit-equal."
)
@click.option("--overwrite", is_flag=True, help="Train anew where a run folder is already.")
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
    seed: int,
    out: str,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train RECIPE (a name or a .toml file) and leave a run folder."""
    from oraclezoo.cli._progress import epoch_text, progress, stop_on_interrupt
    from oraclezoo.pipeline.run import train
    from oraclezoo.recipe import Recipe

    loaded = Recipe.load(recipe, options.overrides(assigned, track))
    title = f"{loaded.name} seed {seed}"
    with (
        progress(title, loaded.budget.epochs) as lines,
        stop_on_interrupt(lines.say) as should_stop,
        stdout_to_stderr(),
    ):
        run = train(
            loaded,
            data_dir=data_dir,
            seed=seed,
            device=device,
            stream_above=stream_above,
            out=out,
            resume=resume,
            overwrite=overwrite,
            registry=app.registry,
            on_epoch=lambda epoch: lines.update(epoch.epoch, epoch_text(epoch)),
            should_stop=should_stop,
            progress=lines.say,
        )
    record = run.record
    if as_json:
        emit_json("oraclezoo/train/1", {"folder": str(run.folder), **record})
        return
    outcome = record["outcome"]
    click.echo(
        f"{run.folder}\nvalidation {100 * outcome['validation_accuracy']:.1f}% of "
        f"{record['validation_images']} images, trained in {outcome['train_s']:.1f} s on "
        f"{record['hardware']['device']} ({record['hardware']['threads']} threads)"
    )
