"""Bundled models and trained recipes side by side. Lightweight imports only."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, median
from typing import Any

import board_page
from measured import table

import oraclezoo

MODELS = Path(oraclezoo.__file__).parent / "models"
REASONS = {
    "oraclenet_s": "default",
    "oraclenet_b": "highest accuracy",
    "oraclenet_n": "smallest file; browsers and small devices",
}
RECIPES = {
    "quick": "a first try: seconds on a laptop",
    "speed": "shortest training time for about 90%",
    "tiny": "smallest model of full accuracy",
    "default": "the recommended recipe",
    "best": "highest accuracy: pretraining and longer training, open division",
    "authors-cnn": "baseline: the network of the data set's authors",
}
TRACK = "oracle-mnist-3k"


def bundled_models() -> str:
    """Return a table of the bundled models, from their cards."""
    rows = []
    for name, reason in REASONS.items():
        card = json.loads((MODELS / name / "model.json").read_text(encoding="utf-8"))
        after, result = card["receipts"][-1]["after"], card["result"]
        low, high = (100 * end for end in result["accuracy_ci95"])
        latency = {
            one["batch_size"]: one["p50_ms"]
            for one in after["latency"]
            if one["runtime"] == "onnxruntime" and one["threads"] == 1
        }
        rows.append(
            (
                f"`{name}`",
                reason,
                f"{100 * result['accuracy']:.1f} [{low:.1f}, {high:.1f}]",
                f"{after['parameters'] / 1e6:.2f}",
                f"{after['macs'] / 1e6:.0f}",
                f"{after['size_bytes'] / 1e6:.2f}",
                f"{latency[1]:.2f}",
            )
        )
    head = ("model", "choose it for", "test accuracy, % [95% interval]", "parameters, M",
            "MACs, M", "int8 file, MB", "latency, ms")  # fmt: skip
    note = (
        "Test accuracy is of one trained model on 1,000 images of real characters, with the "
        "interval over images. Latency is the median for one image on one thread in ONNX Runtime."
    )
    return f"{table(head, rows)}\n{note}\n"


def shipped_recipes() -> str:
    """Return a table of the shipped recipes, with the best published result of each."""
    rows = []
    for name, reason in RECIPES.items():
        found = [each for each in board_page.results() if _is_plain(each, name)]
        best = max(found, key=_accuracy, default=None)
        figures = (
            ("–", "–", "–")
            if best is None
            else (
                f"{100 * _accuracy(best):.1f}",
                f"{median(seed['train_s'] for seed in best['seeds']):.0f}",
                f"{best['model']['parameters'] / 1e6:.2f}",
            )
        )
        rows.append((f"`{name}`", reason, *figures))
    head = ("recipe", "choose it for", "test accuracy, %", "training, s", "parameters, M")
    note = (
        f"Test accuracy on `{TRACK}`, mean over seeds; training time is the median on one or two "
        "threads of the processor that the leaderboard states. –: no published result on this "
        "track."
    )
    return f"{table(head, rows)}\n{note}\n"


def _is_plain(result: dict[str, Any], recipe: str) -> bool:
    """Return whether a result is of the uncompressed recipe on the track."""
    track = result["track"]["name"].removeprefix("oraclezoo:")
    plain = not result["recipe"].get("content", {}).get("compress")
    return track == TRACK and result["recipe"]["name"] == recipe and plain and bool(result["seeds"])


def _accuracy(result: dict[str, Any]) -> float:
    return mean(seed["accuracy"] for seed in result["seeds"])
