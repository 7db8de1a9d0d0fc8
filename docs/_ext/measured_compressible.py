"""What can be pruned, exported and quantized, from benchmarks/measurements/compressible.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from measured import MEASUREMENTS, read, table

FILE = "compressible.json"
STEPS = ("prune", "export", "quantize")
_COMMAND = (
    "python benchmarks/compressible.py --track oracle-mnist-3k --data-dir FOLDER "
    f"--out benchmarks/measurements/{FILE}"
)


def compressible() -> str:
    """A row for each backbone, a column a step; how to measure it where that is not done yet."""
    if not (MEASUREMENTS / FILE).is_file():
        return f"The table is not measured yet; `{_COMMAND}` does it.\n"
    data = read(FILE)
    rows = [(f"`{row['backbone']}`", *(_cell(row, step) for step in STEPS)) for row in data["rows"]]
    hardware, libraries = data["hardware"], data["libraries"]
    about = (
        f"Trained for {data['epochs']} epochs on `{data['track']}`: accuracies would mean little, "
        "so the columns have what is left of the multiply-accumulates, the largest difference of "
        "a probability to eager, and what is left of the bytes with the share of predictions that "
        "agree. Where no speed is told, none was taken. "
        f"{hardware['device']}, torch {libraries['torch']}, "
        f"onnxruntime {libraries['onnxruntime']}; made by `{_COMMAND}`."
    )
    return f"{table(('backbone', *STEPS), rows)}\n{about}\n"


def _cell(row: Mapping[str, Any], step: str) -> str:
    found = row.get(step)
    if found is None:
        return f"{row['state']}: {row.get('reason', '')}"
    if found["state"] == "declared":
        return f"declared not to: {_reason(found['reason'])}"
    if found["state"] == "fails":
        return f"**fails**: {found['reason']}"
    if step == "prune":
        faster = max(found["speedup"].values(), default=None)
        speed = "" if faster is None else f", up to {faster:.1f}x faster"
        return f"{100 * found['macs']:.0f}% of the arithmetic{speed}"
    if step == "export":
        return f"largest difference {found['largest_difference']:.0e}"
    return (
        f"{100 * found['size_bytes']:.0f}% of the bytes, agreement {100 * found['agreement']:.1f}%"
    )


def _reason(text: str) -> str:
    """The reason alone, from a message ``... prunable: reason; what to do``."""
    reason = text.partition(": ")[2].partition(";")[0]
    return reason or text.partition(";")[0]
