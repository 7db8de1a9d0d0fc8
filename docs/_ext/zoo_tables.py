"""Tables of components with parameters, MACs, accuracy and latency, from committed results.

Lightweight imports only.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median
from typing import Any

from generated import plain
from measured import table

from oraclezoo.plugins.registry import Entry
from oraclezoo.specs import Kind

REAL, SYNTHETIC = "oracle-mnist-3k", "glyphs-3k"
HEADS: dict[Kind, tuple[str, ...]] = {
    "backbone": (
        "name",
        "parameters, M",
        "MACs, M",
        "accuracy, %",
        "generated, %",
        "latency, ms",
        "description",
    ),
    "optimizer": ("name", "accuracy, %", "generated, %", "training, s", "description"),
    "scheduler": ("name", "accuracy, %", "generated, %", "training, s", "description"),
}
NONE = "–"


def components(
    kind: Kind, folder: str, entries: Sequence[Entry], results: Sequence[dict[str, Any]]
) -> str:
    """Return a table of components with links into ``folder``, and their published figures.

    The figures of a component are those of the recipe ``<kind>s/<name>``, which differs from the
    others of its kind only in this component.
    """
    if kind not in HEADS:
        return table(
            ("name", "description"),
            [[_link(folder, entry.spec.name), plain(entry.spec.summary)] for entry in entries],
        )
    ranked, classes = [], set()
    for entry in entries:
        name = entry.spec.name
        real = _result(results, f"{folder}/{name}", REAL)
        synthetic = _result(results, f"{folder}/{name}", SYNTHETIC)
        classes |= {real["hardware"]["class"]} if real else set()
        cost = _size(real or synthetic) if kind == "backbone" else []
        time = _latency(real) if kind == "backbone" else _training(real)
        cells = [*cost, _accuracy(real), _accuracy(synthetic), time]
        place = (real is None, -_mean(real) if real else 0.0, name)
        ranked.append((place, [_link(folder, name), *cells, plain(entry.spec.summary)]))
    time = (
        "Latency is the median for one image in PyTorch on one thread"
        if kind == "backbone"
        else "Training time is the median over seeds on one thread"
    )
    note = (
        f"Figures are those of the recipe `{folder}/NAME`: mean test accuracy over seeds on "
        f"`{REAL}` (real characters) and `{SYNTHETIC}` (*generated*). {time} "
        f"({', '.join(sorted(classes))}). {NONE}: no published result. Intervals and ties are on "
        "the [leaderboard](/leaderboard.md)."
    )
    return f"{note}\n\n{table(HEADS[kind], [row for _, row in sorted(ranked)])}"


def _link(folder: str, name: str) -> str:
    return f"[`{name}`]({folder}/{name}.md)"


def _result(results: Sequence[dict[str, Any]], recipe: str, track: str) -> dict[str, Any] | None:
    for each in results:
        name = each["track"]["name"].removeprefix("oraclezoo:")
        if each["recipe"]["name"] == recipe and name == track and each["seeds"]:
            return each
    return None


def _accuracy(result: dict[str, Any] | None) -> str:
    return NONE if result is None else f"{100 * _mean(result):.1f}"


def _mean(result: dict[str, Any]) -> float:
    return mean(seed["accuracy"] for seed in result["seeds"])


def _size(result: dict[str, Any] | None) -> list[str]:
    if result is None:
        return [NONE, NONE]
    return [f"{result['model'][key] / 1e6:.2f}" for key in ("parameters", "macs")]


def _latency(result: dict[str, Any] | None) -> str:
    rows = result["latency"] if result else []
    times = [row["p50_ms"] for row in rows if (row["runtime"], row["batch_size"]) == ("eager", 1)]
    return f"{times[0]:.2f}" if times else NONE


def _training(result: dict[str, Any] | None) -> str:
    if result is None:
        return NONE
    return f"{median(seed['train_s'] for seed in result['seeds']):.0f}"
