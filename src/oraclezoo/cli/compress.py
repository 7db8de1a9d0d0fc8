"""``oraclezoo compress``: search pruning and quantization for the best model within limits."""

from __future__ import annotations

from typing import Any

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_models,
    emit_json,
    json_option,
    next_step,
    pass_app,
    print_table,
    stdout_to_stderr,
)
from oraclezoo.cli._shared.examples import example
from oraclezoo.cli._shared.measuring import gates
from oraclezoo.cli._shared.pruning import pruning
from oraclezoo.cli._shared.quantizing import quantizing


@click.command(
    "compress", epilog=example("oraclezoo compress runs/my-run --size 0.3 --max-drop 0.5")
)
@click.argument("model", type=click.Path(file_okay=False), shell_complete=complete_models)
@options.out("Folder of the compressed model.  [default: MODEL-small]")
@options.ratio(
    "latency", "Maximum ratio of latency to the float ONNX file's (p50 in ONNX Runtime)."
)
@options.ratio("size", "Maximum ratio of file size to the float ONNX file's.")
@gates
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Batch size for latency.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads for latency.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="Maximum number of pruning ratios to try, including no pruning.",
)
@pruning
@quantizing
@options.seed
@options.track
@options.data_dir
@options.device
@options.unfinished("search")
@options.split(
    "Split of the final receipt; test is recorded in the ledger and never guides the search."
)
@options.results
@options.rounds("Interleaved timing rounds.")
@options.quiet
@json_option
@pass_app
def command(
    app: App, /, model: str, out: str | None, epochs: int, as_json: bool, **arguments: Any
) -> None:
    """Compress MODEL (a model or run folder).

    Searches pruning ratios and precisions (float or int8) for the most accurate model that meets
    --latency and --size (at least one is required) and the limits on accuracy loss. Candidates are
    compared on validation images. Writes the model, the receipts of each step and of the whole
    chain, and pareto.svg. Exit status 3, without a model, if no candidate meets the limits.
    """
    from oraclezoo.cli._shared.progress import progress, stop_on_interrupt
    from oraclezoo.cli._shared.receipt import receipt_text
    from oraclezoo.display import TrainingProgress
    from oraclezoo.quantization.export import default_folder
    from oraclezoo.search.compress import compress
    from oraclezoo.search.report import header, rows

    folder = out or default_folder(model, "-small")
    with (
        stdout_to_stderr(),
        progress("compressing", 1) as lines,
        stop_on_interrupt(lines.say) as should_stop,
    ):
        shown = TrainingProgress(lines)
        outcome = compress(
            model,
            folder,
            epochs=epochs,
            registry=app.registry,
            on_epoch=shown.on_epoch,
            on_step=shown.on_step,
            should_stop=should_stop,
            progress=lines.say,
            **arguments,
        )
    receipt = outcome.card.receipts[-1]
    if as_json:
        emit_json("oraclezoo/compress/1", {"folder": str(folder), "receipt": receipt.to_json()})
        return
    click.echo(folder)
    print_table(header(), rows(receipt.options["trials"]))
    click.echo(receipt_text(receipt))
    next_step("predict", "--model", folder, "--demo")
