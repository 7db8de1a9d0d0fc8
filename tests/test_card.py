"""The model card: read, checked and written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.cards import small_card
from oraclezoo.artifacts.record import RunRecord
from oraclezoo.card import Card, read_card
from oraclezoo.errors import ResultError

SAMPLES = Path(__file__).parent / "samples" / "v0.1"


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("model.json")), ids=lambda p: p.parent.name)
def test_a_card_of_an_earlier_version_is_kept_as_it_is(path: Path) -> None:
    """Every entry, receipts included."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert Card.from_json(document).to_json() == document


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("run.json")), ids=lambda p: p.parent.name)
def test_a_run_record_of_an_earlier_version_is_kept_as_it_is(path: Path) -> None:
    """Every entry, the card included; the card of a run folder is the same one."""
    document = json.loads(path.read_text(encoding="utf-8"))
    record = RunRecord.from_json(document, path)
    assert record.to_json() == document
    assert read_card(path.parent) == record.model


def test_a_bundled_card_is_kept_as_it_is() -> None:
    """With its entries on licence, weights and test result."""
    document = json.loads((SAMPLES / "oraclenet_n.json").read_text(encoding="utf-8"))
    card = Card.from_json(document)
    assert set(card.extra) == {"name", "weights", "result", "licence"}
    assert card.to_json() == document


def spoilt(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = json.loads((SAMPLES / "int8" / "model.json").read_text(encoding="utf-8"))
    change(document)
    return dict(document)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda card: card["input"].update(image_size=16.0), "not int"),
        (lambda card: card["input"].update(num_classes=True), "not int"),
        (lambda card: card["input"].update(image_size=0), "input is"),
        (lambda card: card["preprocessing"].update(std=0), "preprocessing is"),
        (lambda card: card["preprocessing"].update(mean=float("nan")), "preprocessing is"),
        (lambda card: card["preprocessing"].update(shifts=16), "preprocessing is"),
        (lambda card: card["preprocessing"].update(flip=1), "not bool"),
        (lambda card: card.update(calibration={"temperature": 0}), "calibration is"),
        (lambda card: card.update(classes=["a"]), "1 classes and 4 glyphs for 4 outputs"),
        (lambda card: card["onnx"].update(file="../model.onnx"), "onnx is"),
        (lambda card: card["receipts"][0].pop("before"), "'before' is missing"),
        (lambda card: card["receipts"][0].update(schema="x/2"), "receipt has schema x/2"),
        (lambda card: card["receipts"][0]["hardware"].pop("device"), "has no device"),
        (lambda card: card["receipts"][0]["ratios"].update(macs=0.0), "ratio of macs is 0.0"),
        (lambda card: card["receipts"][0]["accuracy"].pop("ci95"), "'ci95' is missing"),
        (lambda card: card.update(receipts=[1]), "not dict"),
        (lambda card: card.pop("backbone"), "'backbone' is missing"),
        (lambda card: card.update(schema="oraclezoo/model/2"), "not a model card"),
    ],
)
def test_an_invalid_card_is_one_error(
    change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    """It names the file and the entry."""
    with pytest.raises(ResultError, match=reason) as refused:
        Card.from_json(spoilt(change), "folder/model.json")
    assert str(refused.value).startswith("folder/model.json: not a ")
    assert len(str(refused.value).splitlines()) == 1


def test_an_exported_file_has_the_entries_that_describe_its_input_and_output() -> None:
    """And no others; a card without provenance has none in the file."""
    metadata = small_card(8, mean=0.5, std=0.25).metadata()
    assert metadata["backbone"] == "oraclezoo:mlp"
    assert metadata["classes"] == ["a", "b", "c"]
    assert "recipe" not in metadata
    document = json.loads((SAMPLES / "int8" / "model.json").read_text(encoding="utf-8"))
    metadata = Card.from_json(document).metadata()
    assert metadata["recipe"] == document["provenance"]["recipe"]
    assert metadata["oraclezoo"] == "0.1.0"
    assert "receipts" not in metadata


def test_a_place_without_a_card_is_named(tmp_path: Path) -> None:
    """A folder without one, or nothing at all."""
    with pytest.raises(ResultError, match=r"has neither model\.json nor run\.json"):
        read_card(tmp_path)
    with pytest.raises(ResultError, match="does not exist"):
        read_card(tmp_path / "nowhere")
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ResultError, match=r"run\.json: not a model card"):
        read_card(tmp_path)
