"""``oraclezoo prune``: remove channels from a trained model."""

from __future__ import annotations

from typing import Any

import click

from oraclezoo.choices import PRUNING_RUNTIMES
from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_models,
    json_option,
    next_step,
    pass_app,
    stdout_to_stderr,
)
from oraclezoo.cli._shared.examples import example
from oraclezoo.cli._shared.measuring import gates, measuring, parse_settings
from oraclezoo.cli._shared.pruning import pruning


@click.command("prune", epilog=example("oraclezoo prune runs/my-run --macs 0.5 --out small"))
@click.argument("model", type=click.Path(file_okay=False), shell_complete=complete_models)
@options.out("Folder of the pruned model.  [default: MODEL-pruned]")
@options.ratio("macs", "Maximum ratio of multiply-accumulates to the original's.")
@options.ratio("params", "Maximum ratio of parameters to the original's.")
@options.ratio(
    "latency", "Maximum ratio of latency to the original's, with --runtime at the first --at."
)
@click.option(
    "--runtime",
    type=click.Choice(PRUNING_RUNTIMES),
    default="onnxruntime",
    show_default=True,
    help="Runtime for --latency.",
)
@pruning
@options.seed
@options.track
@options.data_dir
@options.device
@gates
@options.unfinished("pruning")
@measuring
@options.quiet
@json_option
@pass_app
def command(
    app: App,
    /,
    model: str,
    out: str | None,
    epochs: int,
    settings: tuple[str, ...],
    as_json: bool,
    **arguments: Any,
) -> None:
    """Prune MODEL (a model or run folder) and fine-tune it.

    Removes whole channels, following the dependency graph of coupled layers, then compares the
    result with the original. Exactly one of --macs, --params and --latency is required.
    """
    at = parse_settings(settings)
    from oraclezoo.cli._shared.progress import progress, stop_on_interrupt
    from oraclezoo.cli._shared.receipt import show_step
    from oraclezoo.display import TrainingProgress
    from oraclezoo.pruning.prune import prune
    from oraclezoo.quantization.export import default_folder

    folder = out or default_folder(model, "-pruned")
    with (
        stdout_to_stderr(),
        progress("fine-tuning", 1) as lines,
        stop_on_interrupt(lines.say) as should_stop,
    ):
        shown = TrainingProgress(lines, epochs)
        pruned = prune(
            model,
            folder,
            epochs=epochs,
            settings=at,
            registry=app.registry,
            on_epoch=shown.on_epoch,
            on_step=shown.on_step,
            should_stop=should_stop,
            progress=lines.say,
            **arguments,
        )
    show_step("prune", folder, pruned.card.receipts[-1], as_json)
    if not as_json:
        next_step("export", folder)
