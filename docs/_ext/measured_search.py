"""Cross-validated candidates, from the files that benchmarks/studies/search.py writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from measured import read, table


def search_ablations() -> str:
    """Return the ablations of OracleNet, and which of them differ significantly from it."""
    rows = read("search-ablations.json")["rows"]
    names = [row["name"] for row in rows if row["against_first_ci95"] and differs(row)]
    summary = (
        f"The intervals of the following candidates exclude 0: {', '.join(names)}."
        if names
        else "The intervals of all candidates include 0."
    )
    return f"{candidates('search-ablations.json')}\n{summary}\n"


def search_default() -> str:
    """Return the candidates for the recipe default."""
    return candidates("search-default.json")


def search_tiny() -> str:
    """Return the candidates for the recipe tiny."""
    return candidates("search-tiny.json")


def search_speed() -> str:
    """Return the candidates for the recipe speed."""
    return candidates("search-speed.json")


def candidates(name: str) -> str:
    """Return a table of candidates, best first, and the data they were trained on."""
    data = read(name)
    header = (
        "candidate",
        "accuracy",
        "difference from the first",
        "loss",
        "training time",
        "folds",
    )
    rows = table(header, [row(each) for each in data["rows"]])
    classes = {each for row in data["rows"] for each in row["hardware_classes"]}
    note = (
        f"Means over up to {data['folds']} folds of the training and validation images of "
        f"`{data['track']}`. Differences are in points, with 95% intervals over folds. Trained on "
        f"{', '.join(sorted(classes))}."
    )
    return f"{rows}\n{note}\n"


def row(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of a candidate."""
    return (
        candidate["name"],
        f"{candidate['accuracy_mean']:.1f}%",
        difference(candidate),
        f"{candidate['loss_mean']:.3f}",
        f"{candidate['train_s_median']:.1f} s",
        str(candidate["folds"]),
    )


def differs(candidate: Mapping[str, Any]) -> bool:
    """Return whether the interval of the difference excludes 0."""
    low, high = candidate["against_first_ci95"]
    return bool(low > 0 or high < 0)


def difference(candidate: Mapping[str, Any]) -> str:
    """Return the paired difference in points with its interval; a dash for the first."""
    bounds = candidate["against_first_ci95"]
    if bounds is None or bounds == [0, 0]:
        return "–"
    low, high = bounds
    return f"{candidate['against_first']:+.1f} [{low:+.1f}, {high:+.1f}]"
