"""Markdown for the leaderboard page and its internals page. Lightweight imports only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from measured import read, table

from oraclezoo.specs import Spec

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def results() -> list[dict[str, Any]]:
    """Return the committed result documents, sorted by file name."""
    documents = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(RESULTS.glob("*.json"))]
    return [each for each in documents if each.get("schema") == "oraclezoo/result/1"]


def waiting(tracks: list[Spec], results: list[dict[str, Any]]) -> str:
    """Return a line for each built-in track without results, with what it requires."""
    scored = {each["track"]["name"].removeprefix("oraclezoo:") for each in results}
    lines = [
        f"- `{spec.name}` has no results yet. Run `oraclezoo bench --track {spec.name}` to add "
        f"some (requires: {spec.facts['needs']})."
        for spec in tracks
        if spec.name not in scored
        and spec.name != "idx"  # results on private data cannot be published
    ]
    return "\n".join(lines) + "\n" if lines else ""


def ranking_time() -> str:
    """Return the measurements of benchmarks/studies/ranking.py, one row per stage."""
    data = read("ranking.json")
    stages = {
        "read_and_check": "read the files and check each score against its predictions",
        "rank": "compute the table: intervals, comparisons, ranks and calibration",
        "read_and_rank": "both stages",
        "compare_all_pairs": f"part of the table: compare all {data['comparisons']:,} pairs",
        "page": "compute the table and render the page as HTML",
    }
    rows = [
        (words, f"{data[stage]['cpu_s']:.1f}", f"{data[stage]['wall_s']:.1f}")
        for stage, words in stages.items()
    ]
    head = ("stage", "CPU time, s", "wall time, s")
    return (
        f"{data['results']:,} synthetic results with {data['images']:,} images and "
        f"{data['seeds']} seeds each, "
        f"on one thread of a machine with {data['cores']} cores:\n\n{table(head, rows)}"
    )
