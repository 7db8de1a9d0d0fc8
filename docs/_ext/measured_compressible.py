"""Compression support by backbone, from benchmarks/measurements/compressible.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from measured import MEASUREMENTS, read, table

from oraclezoo.plugins.host import build_host
from oraclezoo.plugins.registry import Registry

FILE = "compressible.json"
STEPS = ("prune", "export", "quantize")
_COMMAND = (
    "python benchmarks/studies/compressible.py --track oracle-mnist-3k --data-dir FOLDER "
    f"--out benchmarks/measurements/{FILE}"
)


def compressible() -> str:
    """Return a table of backbones by compression step, or the command that measures it."""
    if not (MEASUREMENTS / FILE).is_file():
        return f"Not measured yet. To measure it, run `{_COMMAND}`.\n"
    data = read(FILE)
    rows = [(f"`{row['backbone']}`", *(_cell(row, step) for step in STEPS)) for row in data["rows"]]
    hardware, libraries = data["hardware"], data["libraries"]
    about = (
        f"Each backbone was trained for only {data['epochs']} epochs on `{data['track']}`, so the "
        "table omits accuracies. It shows the remaining fraction of multiply-accumulates, the "
        "largest difference between exported and eager probabilities, the remaining fraction of "
        "bytes, and the fraction of unchanged predictions. Rows without a speedup were not timed. "
        f"Measured on {hardware['device']}, torch {libraries['torch']}, "
        f"onnxruntime {libraries['onnxruntime']}, with `{_COMMAND}`."
    )
    return f"{table(('backbone', *STEPS), rows)}\n{about}\n"


def _cell(row: Mapping[str, Any], step: str) -> str:
    outcome = row.get(step)
    if outcome is None:
        return f"{row['state']}: {row.get('reason', '')}"
    if outcome["state"] == "declared":
        return f"not supported: {_reason(row, outcome['reason'])}"
    if outcome["state"] == "fails":
        return f"**fails**: {outcome['reason']}"
    if step == "prune":
        faster = max(outcome["speedup"].values(), default=None)
        speed = "" if faster is None else f", up to {faster:.1f}x faster"
        return f"{100 * outcome['macs']:.0f}% of the MACs{speed}"
    if step == "export":
        return f"largest difference {outcome['largest_difference']:.0e}"
    return (
        f"{100 * outcome['size_bytes']:.0f}% of the bytes, "
        f"{100 * outcome['agreement']:.1f}% of predictions unchanged"
    )


def _reason(row: Mapping[str, Any], text: str) -> str:
    """Return the reason that the spec declares, else the one in ``... prunable: reason; ...``."""
    registry = Registry(build_host(disable="all").plugins)
    declared = registry.get("backbone", row["backbone"]).spec.facts.get("not_prunable_because")
    reason = text.partition(": ")[2].partition(";")[0]
    return str(declared) if declared else reason or text.partition(";")[0]
