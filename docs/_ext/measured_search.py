"""What was chosen by cross-validation, from what benchmarks/search.py wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from measured import read, table


def search_ablations() -> str:
    """The house net with one thing changed at a time, and which changes are told apart from it."""
    rows = read("search-ablations.json")["rows"]
    apart = [row["name"] for row in rows if row["against_first_ci95"] and told_apart(row)]
    said = (
        f"By their intervals, these are told apart from the first: {', '.join(apart)}."
        if apart
        else "By their intervals, none is told apart from the first."
    )
    return f"{candidates('search-ablations.json')}\n{said}\n"


def search_default() -> str:
    """Candidates for the recipe default."""
    return candidates("search-default.json")


def search_tiny() -> str:
    """Candidates for the recipe tiny."""
    return candidates("search-tiny.json")


def search_speed() -> str:
    """Candidates for the recipe speed."""
    return candidates("search-speed.json")


def candidates(name: str) -> str:
    """A table of candidates, best first, and what they were trained on."""
    data = read(name)
    header = ("candidate", "accuracy", "against the first", "loss", "training", "folds")
    made = table(header, [row(each) for each in data["rows"]])
    machines = sorted({each for found in data["rows"] for each in found["hardware_classes"]})
    note = (
        f"Means over up to {data['folds']} folds of the training and validation images of "
        f"{data['track']}; in brackets 95% over folds. Trained on {', '.join(machines)}."
    )
    return f"{made}\n{note}\n"


def row(found: Mapping[str, Any]) -> tuple[str, ...]:
    """A candidate's cells."""
    return (
        found["name"],
        f"{found['accuracy_mean']:.1f}%",
        against(found),
        f"{found['loss_mean']:.3f}",
        f"{found['train_s_median']:.1f} s",
        str(found["folds"]),
    )


def told_apart(found: Mapping[str, Any]) -> bool:
    """Whether the interval of the difference leaves out 0."""
    low, high = found["against_first_ci95"]
    return bool(low > 0 or high < 0)


def against(found: Mapping[str, Any]) -> str:
    """The paired difference in points with its interval; a dash for the first itself."""
    bounds = found["against_first_ci95"]
    if bounds is None or bounds == [0, 0]:
        return "–"
    low, high = bounds
    return f"{found['against_first']:+.1f} [{low:+.1f}, {high:+.1f}]"
