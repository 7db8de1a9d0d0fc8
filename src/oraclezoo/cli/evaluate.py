"""``oraclezoo evaluate``: evaluate a trained run on a split of its track."""

from __future__ import annotations

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    emit_json,
    json_option,
    next_step,
    pass_app,
    stdout_to_stderr,
    wrapped,
)
from oraclezoo.cli._shared.examples import example


@click.command("evaluate", epilog=example("oraclezoo evaluate runs/my-run --split test"))
@click.argument("run", type=click.Path(file_okay=False))
@options.split("Split to evaluate on.")
@options.data_dir
@options.device
@options.stream_above
@options.results
@options.quiet
@json_option
@pass_app
def command(
    app: App,
    run: str,
    split: str,
    data_dir: str | None,
    device: str,
    stream_above: str | None,
    results: str,
    as_json: bool,
) -> None:
    """Evaluate the model of RUN (a run folder). Test-set evaluations are recorded in a ledger."""
    from oraclezoo.analysis.evaluate import evaluate
    from oraclezoo.cli._shared.progress import progress

    with stdout_to_stderr(), progress("evaluating", 1) as lines:
        scores = evaluate(
            run,
            split=split,
            data_dir=data_dir,
            device=device,
            stream_above=stream_above,
            results=results,
            registry=app.registry,
            progress=lines.say,
            on_step=lambda share: lines.update(share, f"{split} images"),
        ).to_json_dict()
    if as_json:
        emit_json("oraclezoo/evaluate/1", scores)
        return
    low, high = scores["accuracy_ci95"]
    text = (
        f"{scores['track']} {split}: accuracy {100 * scores['accuracy']:.1f}% "
        f"(95% interval over images: {100 * low:.1f} to {100 * high:.1f}), "
        f"loss {scores['loss']:.3f} nats, {scores['images']} images"
        + ("  [trained on these images]" if scores["trained_on"] else "")
        + ("  [different data from the run's]" if scores["other_data"] else "")
        + ("  [synthetic data]" if scores["synthetic"] else "")
    )
    click.echo(wrapped(text))
    for row in scores["classes"]:
        click.echo(f"  {row['glyph'] or ' '} {row['name']}: {100 * row['recall']:.1f}%")
    next_step("plot", run)
