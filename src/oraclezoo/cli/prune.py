"""``oraclezoo prune``: a trained model with fewer channels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import click

from oraclezoo.choices import PRUNING_RUNTIMES
from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, json_option, pass_app, stdout_to_stderr
from oraclezoo.cli._measuring import gates, measuring, parse_settings
from oraclezoo.cli._pruning import pruning

F = TypeVar("F", bound=Callable[..., Any])


def _share(name: str, what: str) -> Callable[[F], F]:
    return click.option(
        f"--{name}",
        type=click.FloatRange(min=0, max=1, min_open=True),
        metavar="SHARE",
        help=f"Leave at most this share of the {what}.",
    )


@click.command("prune")
@click.argument("model", type=click.Path(file_okay=False))
@click.argument("out", required=False, type=click.Path(file_okay=False))
@_share("macs", "multiply-accumulates")
@_share("params", "parameters")
@_share("latency", "time, measured here at the first --at, by --runtime")
@click.option(
    "--runtime",
    type=click.Choice(PRUNING_RUNTIMES),
    default="onnxruntime",
    show_default=True,
    help="By which --latency is measured.",
)
@pruning
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@options.track
@options.data_dir
@options.device
@gates
@click.option("--resume", is_flag=True, help="Go on with a pruning that was stopped.")
@click.option("--overwrite", is_flag=True, help="Start anew, and replace a model in OUT.")
@measuring
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
    **given: Any,
) -> None:
    """Prune MODEL (a model or run folder) into OUT, by default <its name>-pruned.

    Whole channels are taken out, by the graph of what hangs together; the net is then fine-tuned
    and measured beside the old one. Give one of --macs, --params and --latency.
    """
    at = parse_settings(settings)
    from oraclezoo.cli._progress import epoch_text, progress, stop_on_interrupt
    from oraclezoo.cli._receipt import show_step
    from oraclezoo.pruning.prune import prune
    from oraclezoo.quantization.export import default_folder

    folder, number = out or default_folder(model, "-pruned"), count(1)
    with (
        progress("fine-tuning", epochs) as lines,
        stop_on_interrupt(lines.say) as should_stop,
        stdout_to_stderr(),
    ):
        done = prune(
            model,
            folder,
            epochs=epochs,
            settings=at,
            registry=app.registry,
            on_epoch=lambda epoch: lines.update(next(number), epoch_text(epoch)),
            should_stop=should_stop,
            progress=lines.say,
            **given,
        )
    show_step("prune", folder, done.card["receipts"], as_json)
