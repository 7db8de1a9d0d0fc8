"""Print the README's generated blocks; ``--write`` updates the README.

A block stands between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``. Its figures come from the
committed results, the cards of the bundled models, and ``measurements/first-minute.json``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from oraclezoo.ranking.load import load_results
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.table import Table, tables

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MEASURED = ROOT / "benchmarks" / "measurements" / "first-minute.json"
MODELS = ROOT / "src" / "oraclezoo" / "models"
TRACK = "oracle-mnist-3k"
PICKS = ("best", "default", "tiny", "speed", "authors-cnn")
"""Recipes of the table: the most accurate row of each is shown."""
CHOICES = {
    "oraclenet_b": "the most accurate",
    "oraclenet_s": "the default",
    "oraclenet_n": "the smallest, for browsers and small devices",
}
"""Bundled models, and when to choose each."""
OUTPUTS = ("predict", "train", "leaderboard", "quantize")
"""Steps of ``first_minute.py`` whose output the README shows."""
BUSY = 3.0
"""Load average above which a time says more about the other work than about the command."""
LONGEST = {"quantize": 3}
"""Lines of a command's output that the README shows, if not all."""
RUNTIMES = {"onnxruntime": "ONNX Runtime", "eager": "PyTorch"}
PLACE = re.compile(r"(<!-- (\w+):begin -->\n).*?(<!-- \2:end -->)", re.DOTALL)


def table() -> str:
    """Return the most accurate row of each of the chosen recipes, with ties."""
    boards = tables(load_results([RESULTS]), track=TRACK)
    rows = sorted(chosen(boards), key=lambda pair: -(pair[1].accuracy_percent or 0.0))
    lines = ["| Recipe | Test accuracy, % | Model file | Time |", "| --- | --- | --- | --- |"]
    lines += [" | ".join(["", *cells(board, row), ""]).strip() for board, row in rows]
    classes = ", ".join(sorted({row.hardware_class for _, row in rows}))
    return "\n".join(lines) + (
        f"\n\nTrack `{TRACK}`: means over seeds on {boards[0].test:,} test images of real "
        f"characters, with [95% interval]; latency is for one image. {' '.join(ties(rows))} "
        "Models of the open division may use more data, so divisions are not compared. "
        f"Hardware class: {classes}."
    )


def chosen(boards: Sequence[Table]) -> list[tuple[Table, Row]]:
    """Return the most accurate row of each recipe of the table, with its leaderboard."""
    pairs = [(board, row) for board in boards for row in board.rows if row.accuracy_percent]
    best: dict[str, tuple[Table, Row]] = {}
    for board, row in pairs:
        known = best.get(row.recipe)
        if known is None or (row.accuracy_percent or 0) > (known[1].accuracy_percent or 0):
            best[row.recipe] = board, row
    return [best[name] for name in PICKS if name in best]


def cells(board: Table, row: Row) -> tuple[str, str, str, str]:
    """Return the four cells of a row."""
    division = "" if board.division == "closed" else f", {board.division} division"
    accuracy = f"{row.accuracy_percent:.1f}"
    if row.ci95_low_percent is not None:
        accuracy = f"**{accuracy}** [{row.ci95_low_percent:.1f}, {row.ci95_high_percent:.1f}]"
    size = "–" if row.size_bytes is None else f"{row.size_bytes / 1e6:.2f} MB"
    times = [] if row.train_s is None else [f"training {row.train_s:.0f} s"]
    if row.latency is not None:
        runtime = RUNTIMES.get(row.latency.runtime, row.latency.runtime)
        times.append(f"latency {row.latency.p50_ms:.2f} ms ({runtime})")
    return f"`{row.label}`{division}", accuracy, size, ", ".join(times)


def ties(rows: Sequence[tuple[Table, Row]]) -> Iterator[str]:
    """Yield a sentence on the ties among the rows of each division that shows several."""
    for division in sorted({board.division for board, _ in rows}):
        shown = [row for board, row in rows if board.division == division]
        tied = [
            f"`{first.label}` and `{second.label}`"
            for first, second in combinations(shown, 2)
            if second.number in first.ties_with
        ]
        if len(shown) > 1 and tied:
            yield f"In the {division} division, {'; '.join(tied)} do not differ significantly."
        elif len(shown) > 1:
            yield f"All pairs of rows shown of the {division} division differ significantly."


def models() -> str:
    """Return a line for each bundled model."""
    lines = []
    for name, reason in CHOICES.items():
        card = json.loads((MODELS / name / "model.json").read_text(encoding="utf-8"))
        after = card["receipts"][-1]["after"]
        (latency,) = (
            one["p50_ms"]
            for one in after["latency"]
            if (one["runtime"], one["batch_size"], one["threads"]) == ("onnxruntime", 1, 1)
        )
        lines.append(
            f"- `{name}`: {reason} ({100 * card['result']['accuracy']:.1f}% of "
            f"{card['result']['images']:,} test images, {after['size_bytes'] / 1e6:.2f} MB, "
            f"{latency:.1f} ms an image)"
        )
    return "\n".join(lines)


def install() -> str:
    """Return the size of an installation, and the times that were measured on an idle machine."""
    data = json.loads(MEASURED.read_text(encoding="utf-8"))["data"]
    step = data["install"]
    subjects = {"install": "Installing", "predict": "`predict`", "bench": "`bench`"}
    times = [
        f"{subject} takes {duration(data[name]['seconds'])}"
        for name, subject in subjects.items()
        if name in data and idle(data[name])
    ]
    sentence = f" {', '.join(times)} (on {step['machine']})." if times else ""
    return (
        f"The installation takes up {step['bytes'] / 1e9:.1f} GB, nearly all of it PyTorch "
        f"{step['torch']}.{sentence}"
    )


def idle(step: dict[str, Any]) -> bool:
    """Return whether a step was measured on a machine without much other work."""
    load = step.get("load")
    return load is not None and bool(load <= BUSY)


def duration(seconds: float) -> str:
    """Format a duration in seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def output(step: str) -> str:
    """Return a command with the output that ``first_minute.py`` recorded."""
    data: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))["data"][step]
    lines = data["output"]
    if len(lines) > LONGEST.get(step, len(lines)):
        lines = [*lines[: LONGEST[step]], "..."]
    return "\n".join(["```console", f"$ {data['command']}", *lines, "```"])


BLOCKS = {
    "table": table,
    "models": models,
    "install": install,
    **{step: lambda step=step: output(step) for step in OUTPUTS},
}
"""Functions that return the text of each block."""


def fill(text: str) -> str:
    """Return ``text`` with all blocks; raises SystemExit if one is missing or unknown."""
    names = [match[2] for match in PLACE.finditer(text)]
    if sorted(names) != sorted(BLOCKS):
        raise SystemExit(f"README.md must contain each of these blocks once: {', '.join(BLOCKS)}")
    return PLACE.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]()}\n\n{match[3]}", text)


def main() -> None:
    """Print the blocks, or write them to the README."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the blocks to README.md")
    readme = ROOT / "README.md"
    if parser.parse_args().write:
        readme.write_text(fill(readme.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(make() for make in BLOCKS.values()))


if __name__ == "__main__":
    main()
