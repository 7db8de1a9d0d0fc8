"""What torch's bf16, fp16 and int8 cost and bring, as benchmarks/torch_receipts.py wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from measured import MEASUREMENTS, table

HEADER = (
    "precision",
    "batch",
    "float32 eager, ms",
    "float32 compiled, ms",
    "in this precision, ms",
    "times as fast",
    "accuracy, points",
)


def torch_receipts() -> str:
    """A table for each folder that benchmarks/gpu.sh left, or that there is none."""
    parts = []
    for path in sorted(MEASUREMENTS.glob("gpu-*/receipts.json")):
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        rows = [row for made in data["receipts"] for row in _rows(made)]
        if rows:
            parts += [table(HEADER, rows), *_about(data)]
    if not parts:
        return "No GPU was at hand when this was written: its receipts wait for that command.\n"
    return "\n".join(parts) + "\n"


def _rows(made: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each batch size of a receipt: medians of the calmest round."""
    before = {(row["runtime"], row["batch_size"]): row for row in made["before"]["latency"]}
    after = {row["batch_size"]: row for row in made["after"]["latency"]}
    accuracy = made["accuracy"]
    low, high = (100 * bound for bound in accuracy["ci95"])
    for speed in made["speedups"]:
        batch = speed["batch_size"]
        old = [before.get((runtime, batch)) for runtime in ("eager", "compiled")]
        yield (
            f"`{made['after']['precision']}`",
            str(batch),
            *("-" if row is None else f"{row['p50_ms']:.3g}" for row in old),
            f"{after[batch]['p50_ms']:.3g}",
            f"{speed['speedup']:.2f} ({speed['low']:.2f} to {speed['high']:.2f})",
            f"{100 * accuracy['difference']:+.2f} ({low:+.2f} to {high:+.2f})",
        )


def _about(data: Mapping[str, Any]) -> Iterator[str]:
    """What was measured, on what, and how much of it int8 is."""
    first = data["receipts"][0]
    generated = ", generated characters" if first["synthetic"] else ""
    yield (
        f"`{data['model']}` on {first['hardware']['device']}, torch {first['libraries']['torch']}; "
        f"{first['images']} {first['split']} images of `{data['track']}`{generated}. Times as fast "
        "as float32 in the same way, compiled where that was."
    )
    for made in data["receipts"]:
        covers = "int8 covers"
        yield from (f"\n{note}." for note in made["notes"] if note.startswith(covers))
