"""Results of fault injection: number of attempts by verdict, for each fault and kind of input."""

from __future__ import annotations

from typing import Any

from measured import MEASUREMENTS, read, table

TITLES = {
    "plugins": "Plugins",
    "processes": "Processes, kills and signals",
    "files": "Untrusted files",
    "forgeries": "Forged results",
    "values": "Values and messages",
    "mutations": "Mutated inputs",
}
COUNTS = ("refused", "survived", "lost", "unclear", "tracebacks", "unexpected", "hangs")
FAULTS = COUNTS[2:]
BEFORE = "faults-0.1.0.json"
"""Measurement of the same cases on version 0.1.0."""


def faults() -> str:
    """Return a table for each section, with the number of faults in version 0.1.0 beside it."""
    if not (MEASUREMENTS / "faults.json").exists():
        return "Not measured yet.\n"
    data, before = read("faults.json"), _before()
    parts = [_summary(f"Version {data['oraclezoo']}", data["rows"]), ""]
    if before:
        parts += [_summary("Version 0.1.0", list(before.values())), ""]
    for section in dict.fromkeys(row["section"] for row in data["rows"]):
        rows = [_cells(row, before) for row in data["rows"] if row["section"] == section]
        header = ("fault or input", "tried", *COUNTS, "faults in 0.1.0")
        parts += [f"### {TITLES[section]}", "", table(header, rows)]
    return "\n".join(parts)


def _summary(version: str, rows: list[dict[str, Any]]) -> str:
    tried = sum(row["tried"] for row in rows)
    totals = {name: sum(row["counts"][name] for row in rows) for name in COUNTS}
    listed = ", ".join(f"{count:,} {name}" for name, count in totals.items())
    return f"{version}: {len(rows)} faults and kinds of input, {tried:,} attempts: {listed}."


def _cells(row: dict[str, Any], before: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    counts = [f"{row['counts'][name]:,}" if row["counts"][name] else "" for name in COUNTS]
    bold = [
        f"**{cell}**" if cell and name in FAULTS else cell
        for name, cell in zip(COUNTS, counts, strict=True)
    ]
    old = before.get(row["name"])
    was = "" if old is None else f"{sum(old['counts'][n] for n in FAULTS):,} of {old['tried']:,}"
    return (row["sentence"].replace("|", "\\|"), f"{row['tried']:,}", *bold, was)


def _before() -> dict[str, dict[str, Any]]:
    """Return the rows of version 0.1.0 by name."""
    if not (MEASUREMENTS / BEFORE).exists():
        return {}
    return {row["name"]: row for row in read(BEFORE)["rows"]}
