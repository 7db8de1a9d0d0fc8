"""``oraclezoo receipt``: show the receipts of a compressed model."""

from __future__ import annotations

import click

from oraclezoo.cli._shared.app import complete_models, emit_json, json_option, next_step
from oraclezoo.cli._shared.examples import example


@click.command("receipt", epilog=example("oraclezoo receipt small"))
@click.argument("model", type=click.Path(file_okay=False), shell_complete=complete_models)
@json_option
def command(model: str, as_json: bool) -> None:
    """Show the receipts of MODEL (a model folder or a bundled model): the effect of each step."""
    from oraclezoo.card import read_card
    from oraclezoo.cli._shared.receipt import receipt_text
    from oraclezoo.serving.listing import MODELS, shipped

    receipts = read_card(MODELS / model if model in shipped() else model).receipts
    if as_json:
        documents = [receipt.to_json() for receipt in receipts]
        emit_json("oraclezoo/receipts/1", {"model": model, "receipts": documents})
    elif receipts:
        click.echo("\n\n".join(map(receipt_text, receipts)))
        next_step("predict", "--model", model, "--demo")
    else:
        click.echo(f"{model} has no receipts: it was not pruned, exported or quantized")
