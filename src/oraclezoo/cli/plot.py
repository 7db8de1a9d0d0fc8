"""``oraclezoo plot``: the figures of a run."""

from __future__ import annotations

import click

from oraclezoo.cli import _options as options
from oraclezoo.cli._base import App, emit_json, json_option, pass_app, say, stdout_to_stderr


@click.command("plot")
@click.argument("run", type=click.Path(file_okay=False))
@click.option("--out", metavar="FOLDER", help="Folder for the figures; by default RUN/plots.")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="validation",
    show_default=True,
    help="Images that the model is shown.",
)
@options.data_dir
@options.device
@options.stream_above
@click.option("--results", default="results", show_default=True, help="Folder with the ledger.")
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
    """Draw the figures of RUN (a run folder) as SVG and PNG; print their names.

    Curves of loss, accuracy and learning rate; confusion matrix, accuracy of each class, most
    confident mistakes, and the embedding by t-SNE. Needs the extra: pip install 'oraclezoo[plots]'.
    Looking at the test split is noted in a ledger.
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
