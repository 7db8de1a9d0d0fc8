"""Compare the latency of models with an earlier version of them, on the same machine.

The script times each ONNX file of two folders of models in turn, several rounds, at batch 1 on one
thread. It exits with status 3 if a model takes more than ``--limit`` times as long as before.

    python benchmarks/latency_gate.py src/oraclezoo/models before/src/oraclezoo/models
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from oraclezoo.measure.ort import onnx

Times = Mapping[str, Sequence[float]]
"""Median latency of each round in ms, by the name of the model."""


def models(folder: Path) -> dict[str, Path]:
    """Return the model folders in a folder, by name."""
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/model.onnx"))}


def latency_ms(model: Path, budget_s: float) -> float:
    """Time a model: median at batch 1 on one thread."""
    card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    (row,) = onnx(
        model / "model.onnx",
        image_size=card["input"]["image_size"],
        precision=card["onnx"]["precision"],
        settings=[(1, 1)],
        budget_s=budget_s,
    )
    return row.p50_ms


def measure(now: Path, before: Path, rounds: int, budget_s: float) -> tuple[Times, Times]:
    """Time the models that both folders have, alternating between the two."""
    new, old = models(now), models(before)
    times: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for name in sorted(new.keys() & old.keys()):
        for _ in range(rounds):
            times[0].setdefault(name, []).append(latency_ms(new[name], budget_s))
            times[1].setdefault(name, []).append(latency_ms(old[name], budget_s))
    return times


def ratios(now: Times, before: Times) -> dict[str, float]:
    """Return how many times as long each model takes, by the fastest rounds.

    Other work on the machine only adds time, so the fastest round is the least disturbed.
    """
    return {name: min(now[name]) / min(before[name]) for name in now}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each model; return 3 if one is slower than allowed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("now", type=Path, help="folder of models")
    parser.add_argument("before", type=Path, help="folder of their earlier version")
    parser.add_argument("--limit", type=float, default=1.25, help="largest ratio of the two times")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--budget-s", type=float, default=0.5, help="seconds for each measurement")
    options = parser.parse_args(arguments)
    for folder in (options.now, options.before):
        if not models(folder):
            parser.error(f"{folder} has no models: folders with a model.onnx")
    now, before = measure(options.now, options.before, options.rounds, options.budget_s)
    for name in models(options.now).keys() - now.keys():
        print(f"{name}: new, nothing to compare with")
    slower = False
    for name, ratio in ratios(now, before).items():
        verdict = "slower than allowed" if ratio > options.limit else "ok"
        slower |= ratio > options.limit
        print(
            f"{name}: {statistics.median(before[name]):.3f} -> {statistics.median(now[name]):.3f} "
            f"ms, ratio of the fastest rounds {ratio:.2f} (limit {options.limit:g}): {verdict}"
        )
    return 3 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
