"""``oraclezoo compress``: search pruning and quantization for the best model within limits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    emit_json,
    json_option,
    pass_app,
    print_table,
    stdout_to_stderr,
)
from oraclezoo.cli._shared.measuring import gates
from oraclezoo.cli._shared.pruning import pruning
from oraclezoo.cli._shared.rounding import rounding

F = TypeVar("F", bound=Callable[..., Any])


def _target(name: str, what: str) -> Callable[[F], F]:
    return click.option(
        f"--{name}",
        type=click.FloatRange(min=0, max=1, min_open=True),
        metavar="RATIO",
        help=f"Maximum {what}, as a ratio to the model's float ONNX file.",
    )


@click.command("compress")
@click.argument("model", type=click.Path(file_okay=False))
@options.out("Folder of the compressed model.  [default: MODEL-small]")
@_target("latency", "latency (p50 in ONNX Runtime, interleaved timing)")
@_target("size", "file size")
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
    help="Maximum number of pruning ratios to try; the first is no pruning.",
)
@pruning
@rounding
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
@options.track
@options.data_dir
@options.device
@click.option("--resume", is_flag=True, help="Resume an unfinished search.")
@click.option("--overwrite", is_flag=True, help="Start over; replace a model in the output folder.")
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="Split of the final receipt; test is recorded in the ledger and never used to choose.",
)
@click.option(
    "--results",
    default="results",
    show_default=True,
    metavar="FOLDER",
    help="Folder of the ledger.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Interleaved timing rounds.",
)
@json_option
@pass_app
def command(
    app: App, /, model: str, out: str | None, epochs: int, as_json: bool, **arguments: Any
) -> None:
    """Compress MODEL (a model or run folder).

    Searches the pruning ratio, and float or int8 weights, for the most accurate model that meets
    --latency and --size (at least one is required) and the accuracy gates. Candidates are compared
    on validation images. Writes the model, the receipts of each step and of the whole chain, and
    pareto.svg. Exit status 3, without a model, if no candidate meets the limits.
    """
    from oraclezoo.cli._shared.progress import epoch_text, progress, stop_on_interrupt
    from oraclezoo.cli._shared.receipt import receipt_text
    from oraclezoo.quantization.export import default_folder
    from oraclezoo.search.compress import compress
    from oraclezoo.search.report import header, rows

    folder, number = out or default_folder(model, "-small"), count(1)
    with (
        progress("fine-tuning", epochs * arguments["trials"]) as lines,
        stop_on_interrupt(lines.say) as should_stop,
        stdout_to_stderr(),
    ):
        done = compress(
            model,
            folder,
            epochs=epochs,
            registry=app.registry,
            on_epoch=lambda epoch: lines.update(next(number), epoch_text(epoch)),
            should_stop=should_stop,
            progress=lines.say,
            **arguments,
        )
    receipt = done.card.receipts[-1]
    if as_json:
        emit_json("oraclezoo/compress/1", {"folder": str(folder), "receipt": receipt.to_json()})
        return
    click.echo(folder)
    print_table(header(), rows(receipt.options["trials"]))
    click.echo(receipt_text(receipt))
