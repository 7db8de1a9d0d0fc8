"""``oraclezoo receipt``: what compression did to a model."""

from __future__ import annotations

import click

from oraclezoo.cli._base import emit_json, json_option


@click.command("receipt")
@click.argument("model", type=click.Path(file_okay=False))
@json_option
def command(model: str, as_json: bool) -> None:
    """Show the receipts of MODEL (a model folder): what each step of compression did to it."""
    from oraclezoo.card import read_card, receipts
    from oraclezoo.cli._receipt import receipt_text

    found = receipts(read_card(model))
    if as_json:
        emit_json("oraclezoo/receipts/1", {"model": model, "receipts": found})
    elif found:
        click.echo("\n\n".join(receipt_text(made) for made in found))
    else:
        click.echo(f"{model} has no receipts: it was not pruned, exported or quantized")
