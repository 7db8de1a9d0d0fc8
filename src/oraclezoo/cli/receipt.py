"""``oraclezoo receipt``: show the receipts of a compressed model."""

from __future__ import annotations

import click

from oraclezoo.cli._shared.app import emit_json, json_option, next_step
from oraclezoo.cli._shared.examples import example


@click.command("receipt", epilog=example("oraclezoo receipt small"))
@click.argument("model", type=click.Path(file_okay=False))
@json_option
def command(model: str, as_json: bool) -> None:
    """Show the receipts of MODEL (a model folder): the effect of each compression step."""
    from oraclezoo.card import read_card
    from oraclezoo.cli._shared.receipt import receipt_text

    receipts = read_card(model).receipts
    if as_json:
        documents = [receipt.to_json() for receipt in receipts]
        emit_json("oraclezoo/receipts/1", {"model": model, "receipts": documents})
    elif receipts:
        click.echo("\n\n".join(map(receipt_text, receipts)))
        next_step("predict", "--model", model, "--demo")
    else:
        click.echo(f"{model} has no receipts: it was not pruned, exported or quantized")
