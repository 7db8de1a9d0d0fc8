"""Receipts for bf16, fp16 and int8 in PyTorch, written by benchmarks/torch_receipts.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from measured import MEASUREMENTS, table

HEADER = (
    "precision",
    "batch size",
    "float32 eager, ms",
    "float32 compiled, ms",
    "this precision, ms",
    "speedup",
    "accuracy difference, points",
)


def torch_receipts() -> str:
    """Return a table for each folder that benchmarks/gpu.sh wrote, or a note if there is none."""
    parts = []
    for path in sorted(MEASUREMENTS.glob("gpu-*/receipts.json")):
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        rows = [row for receipt in data["receipts"] for row in _rows(receipt)]
        if rows:
            parts += [table(HEADER, rows), *_about(data)]
    if not parts:
        return "No GPU receipts are available yet.\n"
    return "\n".join(parts) + "\n"


def _rows(receipt: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each batch size of a receipt: medians of the round with the least noise."""
    before = {(row["runtime"], row["batch_size"]): row for row in receipt["before"]["latency"]}
    after = {row["batch_size"]: row for row in receipt["after"]["latency"]}
    accuracy = receipt["accuracy"]
    low, high = (100 * bound for bound in accuracy["ci95"])
    for speed in receipt["speedups"]:
        batch = speed["batch_size"]
        old = [before.get((runtime, batch)) for runtime in ("eager", "compiled")]
        yield (
            f"`{receipt['after']['precision']}`",
            str(batch),
            *("-" if row is None else f"{row['p50_ms']:.3g}" for row in old),
            f"{after[batch]['p50_ms']:.3g}",
            f"{speed['speedup']:.2f} ({speed['low']:.2f} to {speed['high']:.2f})",
            f"{100 * accuracy['difference']:+.2f} ({low:+.2f} to {high:+.2f})",
        )


def _about(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the measurement setup, and the fraction of the model that int8 covers."""
    first = data["receipts"][0]
    generated = ", generated characters" if first["synthetic"] else ""
    yield (
        f"`{data['model']}` on {first['hardware']['device']}, torch {first['libraries']['torch']}; "
        f"{first['images']} {first['split']} images of `{data['track']}`{generated}. "
        "The speedup is relative to float32 in the same mode, eager or compiled."
    )
    for receipt in data["receipts"]:
        covers = "int8 covers"
        yield from (f"\n{note}." for note in receipt["notes"] if note.startswith(covers))
