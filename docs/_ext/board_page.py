"""Markdown for the leaderboard's page: the tracks that have no rows yet. Light imports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
