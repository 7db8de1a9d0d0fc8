"""Markdown for the leaderboard's page: the tracks that have no rows yet. Light imports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from measured import read, table

from oraclezoo.specs import Spec

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def results() -> list[dict[str, Any]]:
    """The committed result documents, by name of file."""
    documents = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(RESULTS.glob("*.json"))]
    return [each for each in documents if each.get("schema") == "oraclezoo/result/1"]


def waiting(tracks: list[Spec], results: list[dict[str, Any]]) -> str:
    """A line for each built-in track that no result is of, with what it waits for."""
    scored = {each["track"]["name"].removeprefix("oraclezoo:") for each in results}
    lines = [
        f"- `{spec.name}` has no rows yet. It needs {spec.facts['needs']}; "
        f"`oraclezoo bench --track {spec.name}` then makes them."
        for spec in tracks
        if spec.name not in scored and spec.name != "idx"  # one's own data are ranked at home
    ]
    return "\n".join(lines) + "\n" if lines else ""


def ranking_time() -> str:
    """What benchmarks/ranking.py measured, a stage a line."""
    data = read("ranking.json")
    stages = {
        "read_and_check": "reading the files, and holding each score against its predictions",
        "rank": "the whole table: intervals, comparisons, ranks, calibration",
        "read_and_rank": "both",
        "compare_all_pairs": f"of the table, comparing all {data['comparisons']:,} pairs",
        "page": "the table again, and the page's HTML",
    }
    rows = [
        (what, f"{data[stage]['cpu_s']:.1f}", f"{data[stage]['wall_s']:.1f}")
        for stage, what in stages.items()
    ]
    head = ("stage", "processor time, s", "on the wall, s")
    return (
        f"{data['results']:,} made-up results of {data['images']:,} images and "
        f"{data['seeds']} seeds, "
        f"on one thread of a machine with {data['cores']} cores:\n\n{table(head, rows)}"
    )
