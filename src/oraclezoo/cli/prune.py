"""``oraclezoo prune``: a trained model with fewer channels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, json_option, pass_app, stdout_to_stderr
from oraclezoo.cli._measuring import gates, measuring, parse_settings

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
    type=click.Choice(["onnxruntime", "eager"]),
    default="onnxruntime",
    show_default=True,
    help="By which --latency is measured.",
)
@click.option(
    "--importance",
    type=click.Choice(["magnitude", "bn-scale", "taylor", "lamp", "random"]),
    default="taylor",
    show_default=True,
    help="What channels are ranked by; random is the control.",
)
@click.option(
    "--scope",
    type=click.Choice(["uniform", "global", "isomorphic"]),
    help="Rank within each layer (the same share of all), over all layers, or over layers of the "
    "same build. [default: uniform; of transformers isomorphic]",
)
@click.option(
    "--round-to",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Layers keep multiples of so many channels.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Prune and fine-tune so many times.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Fine-tuning in all, by the model's own recipe made milder.",
)
@click.option(
    "--lr-scale",
    type=click.FloatRange(min=0, min_open=True),
    default=0.5,
    show_default=True,
    help="Fine-tune by the recipe's learning rates times this, falling linearly.",
)
@click.option(
    "--distill",
    type=click.FloatRange(min=0, max=1),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Share of the loss that goes by the unpruned model's labels.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0.1, max=100),
    default=2.0,
    show_default=True,
    help="Divides the logits of both before they are compared.",
)
@click.option(
    "--recipe",
    metavar="RECIPE",
    help="To fine-tune by, for a model folder that does not tell its own.",
)
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
    from oraclezoo.pipeline.export import default_folder
    from oraclezoo.pipeline.prune import prune

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
