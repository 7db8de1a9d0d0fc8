"""Build of the bundled models: index and model cards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import oraclezoo as oz
from helpers.bands import write_model
from oraclezoo.serving.listing import INDEX, models


def test_pins_are_added_to_the_index_and_others_kept(
    script: Callable[[str], Any], tmp_path: Path
) -> None:
    """The index is sorted by size, keeps its comment, and lists exactly the files."""
    bundled_models = script("bundled_models")
    for name in ("oraclenet_s", "oraclenet_n"):
        write_model(tmp_path / name)
        bundled_models.pin(tmp_path, name)
    write_model(tmp_path / "oraclenet_s", classes=list("abcd"))
    bundled_models.pin(tmp_path, "oraclenet_s")
    index = tmp_path / "index.toml"
    specs = models(index)
    assert [spec.name for spec in specs] == ["oraclenet_n", "oraclenet_s", "oraclenet_b"]
    assert specs[2] == {spec.name: spec for spec in models(INDEX)}["oraclenet_b"]
    head = INDEX.read_text(encoding="utf-8").split("\n[")[0].rstrip()
    assert index.read_text(encoding="utf-8").startswith(head)
    for spec in specs[:2]:
        folder = tmp_path / spec.name
        assert spec.facts["size_bytes"] == bundled_models.size(folder)
        assert set(spec.fixed["files"]) == {path.name for path in folder.iterdir()}


def card(**changes: Any) -> dict[str, Any]:
    side = {"accuracy": 0.9, "size_bytes": 1000, "form": "onnx", "precision": "int8"}
    receipt = {
        "step": "quantize",
        "images": 1000,
        "split": "test",
        "before": {**side, "size_bytes": 4000},
        "after": side,
        "accuracy": {"difference": -0.001, "ci95": [-0.004, 0.002]},
        "speedups": [],
        "hardware": {"device": "a processor"},
    }
    scores = {"loss": 0.5, "ece": 0.1}
    return {
        "name": "oraclenet_s",
        "classes": ["big", "sun"],
        "glyphs": ["大", "日"],
        "backbone": {"name": "oraclezoo:oraclenet_s"},
        "provenance": {"recipe": {"name": "r", "hash": "f" * 64}, "seed": 0, "oraclezoo": "0.1.0"},
        "licence": "Apache-2.0",
        "result": {
            "track": "oracle-mnist-3k",
            "images": 1000,
            "accuracy": 0.931,
            "accuracy_ci95": [0.91, 0.95],
            "loss": 0.25,
            "ece": 0.02,
            "recall": {"big": 0.9, "sun": 0.96},
        },
        "calibration": {
            "temperature": 0.7,
            "images": 200,
            "by_a_twin": True,
            "before": scores,
            "after": scores,
        },
        "pictures": {
            "split": "validation",
            "images": 200,
            "by_a_twin": True,
            "accuracy": {"plain": 0.935, "photo": 0.92},
            "drawings": 50,
            "drawings_right": 47,
        },
        "unknown": {
            "threshold": 0.61,
            "kept": {"real": 0.95, "drawings": 0.9525},
            "images": {"real": 200, "drawings": 400},
            "fitted_on": {"known": 3000, "foreign": 9000},
        },
        "weights": {"validation_images": 200, "labels_changed_by_rounding": 0},
        "receipts": [receipt],
        **changes,
    }


@pytest.mark.parametrize("name", ["oraclenet_n", "oraclenet_s", "oraclenet_b"])
def test_a_model_card_has_what_a_reader_needs(script: Callable[[str], Any], name: str) -> None:
    """The card covers recipe, data, licence, splits, result, receipt and limitations."""
    bundled_models = script("bundled_models")
    changes = bundled_models.CHANGES[name]
    loaded = oz.Recipe.load(bundled_models.RECIPES[name], {"data.track": "glyphs-3k", **changes})
    text = script("_bundled_card").readme(card(name=name), loaded)
    parts = ["Recipe", "Data and licence", "Splits", "Result"]
    parts += ["Accuracy by kind of picture", "Unknown characters", "Receipt", "Limitations"]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == parts
    assert "| plain | 93.5% | drawings | 47 of 50 |\n| photo | 92.0% |  |  |" in text
    assert "**93.1%** (95% interval over images 91.0 to 95.0)" in text
    assert "keeps 95.0% of 200 validation images, 95.2% of 400 clean drawings" in text
    assert "| quantize to onnx int8 | 1,000 test images | 90.0% | 90.0% | -0.10" in text
    assert ("pretrained on the track" in text) == bool(loaded.pretrain.epochs)
    assert ("teachers of the same architecture" in text) == bool(loaded.distill.teachers)
    assert ("validation images (2,000)" in text) == loaded.data.refit
    changed = text.partition("Changes to the recipe: ")[2].partition(".\n")[0]
    assert changed.count(" = ") == len(changes)
    assert all(f"`{key} = " in changed for key in changes)
