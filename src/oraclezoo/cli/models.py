"""``oraclezoo models``: list, show and download trained models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oraclezoo.cli._shared.app import (
    App,
    complete_names,
    emit_json,
    json_option,
    next_step,
    pass_app,
    print_table,
    say,
    terminal_columns,
    wrapped,
)
from oraclezoo.cli._shared.examples import example
from oraclezoo.cli._shared.options import quiet

if TYPE_CHECKING:
    from pathlib import Path

    from oraclezoo.card import Card
    from oraclezoo.card.receipt import Receipt
    from oraclezoo.plugins.registry import Entry, Registry


@click.group("models")
def command() -> None:
    """List, show and download trained models."""


@command.command("list", epilog=example("oraclezoo models list"))
@json_option
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List named models: bundled ones and downloadable ones."""
    rows = [_row(app.registry, entry) for entry in app.registry.entries("model")]
    if as_json:
        emit_json("oraclezoo/models/1", rows)
        return
    receipts = [_last_receipt(row) for row in rows]
    columns = {
        "NAME": [row["name"] for row in rows],
        "ACCURACY": ["" if r is None else f"{100 * r.after.accuracy:.1f}%" for r in receipts],
        "PARAMETERS": ["" if r is None else f"{r.after.parameters:,}" for r in receipts],
        "SIZE": [_megabytes(row["size_bytes"]) for row in rows],
        "WHERE": [row["where"] for row in rows],
        "ORIGIN": [f"{row['distribution']} {row['version']}" for row in rows],
        "SUMMARY": [row["summary"] for row in rows],
    }
    if terminal_columns() is not None and all(row["distribution"] == "oraclezoo" for row in rows):
        del columns["ORIGIN"]
    print_table(list(columns), list(zip(*columns.values(), strict=True)))
    evaluated = {f"{r.split} images of {r.track}" for r in receipts if r is not None}
    if evaluated:
        say(f"accuracy on {', '.join(sorted(evaluated))}; details: oraclezoo models show NAME")
    if rows:
        next_step("predict", "--model", rows[0]["name"], "--demo")


def _last_receipt(row: dict[str, Any]) -> Receipt | None:
    """Return the last receipt of a bundled model, which has its accuracy; else None."""
    from oraclezoo.card import read_card
    from oraclezoo.serving.listing import MODELS

    if row["where"] != "shipped":
        return None
    receipts = read_card(MODELS / row["name"]).receipts
    return receipts[-1] if receipts else None


@command.command("show", epilog=example("oraclezoo models show oraclenet_s"))
@click.argument("model", metavar="NAME|FOLDER", shell_complete=complete_names("model"))
@json_option
@pass_app
def show(app: App, model: str, as_json: bool) -> None:
    """Show a model's origin and, if it is available locally, its card."""
    from oraclezoo.card import Card
    from oraclezoo.serving.names import locate

    known = ("model", model) in app.registry
    about = _row(app.registry, app.registry.get("model", model)) if known else {"where": "folder"}
    card = None
    if about["where"] != "to fetch":
        folder = locate(model, lambda: app.registry, say)
        card = Card.load(folder)
        about["folder"] = str(folder)
    if as_json:
        emit_json("oraclezoo/models-show/1", {**about, "card": card and card.to_json()})
        return
    about |= {} if card is None else _facts(card)
    for key, value in about.items():
        click.echo(wrapped(f"{key}: {value}"))
    next_step("predict", "--model", model, "--demo")


@command.command("fetch", epilog=example("oraclezoo models fetch oraclenet_s"))
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_names("model")
)
@quiet
@json_option
@pass_app
def fetch(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """Download and verify models; print their folders.

    Bundled models are verified in place.
    """
    qualified = [app.registry.qualified("model", name) for name in names]
    places = {name: str(_fetched(app.registry, name)) for name in qualified}
    if as_json:
        emit_json("oraclezoo/models-fetch/1", places)
        return
    for folder in places.values():
        click.echo(folder)
    next_step("predict", "--model", names[0], "--demo")


def _fetched(registry: Registry, name: str) -> Path:
    """Return the folder of a model after downloading it, with progress if it is one of ours."""
    from oraclezoo.cli._shared.progress import progress, received_bytes
    from oraclezoo.serving import store

    spec = registry.get("model", name).spec
    folder: Path
    with progress("downloading", 1) as lines:
        if spec.load() is store.fetched:
            received = received_bytes(lines)
            folder = store.fetched(**spec.fixed, progress=lines.say, received=received)
        else:
            folder = registry.create("model", name, progress=lines.say)
    return folder


def _row(registry: Registry, entry: Entry) -> dict[str, Any]:
    """Return the metadata and location of a model without opening its folder."""
    from oraclezoo.serving.store import is_fetched

    spec = entry.spec
    facts = dict(spec.facts)
    where = "shipped"
    if not facts.pop("shipped"):
        where = "fetched" if is_fetched(spec.name, facts["sha256"]) else "to fetch"
    return {
        "name": registry.shortest(entry),
        "summary": spec.summary,
        "source": spec.source,
        "distribution": entry.distribution,
        "version": entry.version,
        "where": where,
        **facts,
    }


def _facts(card: Card) -> dict[str, str]:
    """Summarize a card as text; missing fields are omitted."""
    size, onnx, origin = card.input.image_size, card.onnx, card.provenance
    facts = {
        "backbone": card.backbone.name,
        "images": f"{size} x {size}, gray",
        "classes": ", ".join(
            f"{glyph} {name}".strip() for glyph, name in zip(card.glyphs, card.classes, strict=True)
        ),
    }
    if onnx is not None:
        facts["onnx"] = f"{onnx.precision}, {onnx.input} in, opset {onnx.opset}"
    if card.form is not None:
        facts["form"] = "{precision} in torch, compile {compile}".format(**card.form)
    if card.calibration is not None:
        facts["calibration"] = f"temperature {card.calibration.temperature:.3f}"
    if origin is not None:
        facts["recipe"] = f"{origin.recipe.name}, {origin.recipe.hash[:12]}, seed {origin.seed}"
    if card.receipts:
        facts["receipts"] = ", ".join(receipt.step for receipt in card.receipts)
    return facts


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.2f} MB"
