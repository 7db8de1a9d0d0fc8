"""``oraclezoo plot``: plot the figures of a run."""

from __future__ import annotations

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    emit_json,
    json_option,
    next_step,
    pass_app,
    say,
    stdout_to_stderr,
)
from oraclezoo.cli._shared.examples import example


@click.command("plot", epilog=example("oraclezoo plot runs/my-run --out figures"))
@click.argument("run", type=click.Path(file_okay=False))
@options.out("Folder for the figures.  [default: RUN/plots]")
@options.split("Split to evaluate on.", "train", "validation", "test")
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
    out: str | None,
    split: str,
    data_dir: str | None,
    device: str,
    stream_above: str | None,
    results: str,
    as_json: bool,
) -> None:
    """Plot the figures of RUN (a run folder) as SVG and PNG; print the file names.

    Loss, accuracy and learning-rate curves, confusion matrix, per-class accuracy, most confident
    errors, and a t-SNE embedding. Requires pip install 'oraclezoo[plots]'. Test-set evaluations are
    recorded in a ledger.
    """
    from oraclezoo.analysis.plot import plot

    with stdout_to_stderr():
        files = plot(
            run,
            out=out,
            split=split,
            data_dir=data_dir,
            device=device,
            results=results,
            stream_above=stream_above,
            registry=app.registry,
            progress=say,
        )
    if as_json:
        emit_json("oraclezoo/plot/1", {"run": run, "split": split, "files": list(map(str, files))})
        return
    click.echo("\n".join(map(str, files)))
    next_step("export", run)
