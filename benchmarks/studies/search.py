"""Select settings by cross-validation. The search never reads test images.

The 2,000 training and validation images of oracle-mnist-3k are split into stratified folds. Each
candidate is trained once per held-out fold, fold k with seed k, and scored on that fold. Candidates
are shipped recipes with changes, from a TOML file:

    [[candidate]]
    name = "wider"
    recipe = "default"
    set = { "backbone.name" = "oraclenet", "backbone.width" = 1.5, "budget.epochs" = 40 }

    python benchmarks/studies/search.py CANDIDATES.toml --data-dir FOLDER [--folds 10] [--out FILE]

Each finished training is a line in the journal and is not repeated, so that an interrupted or
killed search resumes. The script prints a table, best first, with the paired difference from the
first candidate of the file and its 95% interval over folds. Without --data-dir, it prints the table
of the existing journal.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from _shared import emit
from scipy import stats

import oraclezoo as oz
from oraclezoo.data.folds import deal
from oraclezoo.recipe.resolve import resolve

TRACK = "oracle-mnist-3k"


def read_journal(path: Path) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Read the journal as (recipe hash, folds, fold) -> line; truncated lines are skipped."""
    entries = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
            entries[row["hash"], row["folds"], row["fold"]] = row
        except (ValueError, KeyError):
            continue
    return entries


def search(candidates: list[dict[str, Any]], data_dir: Path, folds: int, journal: Path) -> None:
    """Train everything that is missing from the journal, and append a line for each."""
    known = read_journal(journal)
    with tempfile.TemporaryDirectory() as folder:
        dataset = oz.registry().create("dataset", TRACK, data_dir=data_dir)
        places = deal(dataset, Path(folder), folds)
        for fold, place in enumerate(places):
            for candidate in candidates:
                recipe = load(candidate)
                if (recipe.hash, folds, fold) in known:
                    continue
                run = oz.train(recipe, data_dir=place, seed=fold, out=Path(folder, "runs"))
                outcome = run.outcome
                row = {
                    "name": candidate["name"],
                    "hash": recipe.hash,
                    "folds": folds,
                    "fold": fold,
                    "accuracy": outcome.validation_accuracy,
                    "loss": outcome.validation_loss,
                    "train_s": outcome.train_s,
                    "hardware_class": run.record.provenance.hardware["class"],
                }
                with journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                text = f"fold {fold} {candidate['name']}: {100 * row['accuracy']:.1f}%"
                print(f"{text} in {row['train_s']:.1f} s", file=sys.stderr)


def load(candidate: dict[str, Any]) -> oz.Recipe:
    """Return the resolved recipe of a candidate on track ``idx``."""
    changes = {**candidate.get("set", {}), "data.track": "idx"}
    return resolve(oz.Recipe.load(candidate["recipe"], changes), oz.registry())


def summarize(candidates: list[dict[str, Any]], folds: int, journal: Path) -> list[dict[str, Any]]:
    """Return a row for each candidate with a finished fold, best first; accuracies in percent.

    ``against_first`` is the mean difference from the first candidate over common folds, with its
    95% interval by Student's t; None for fewer than two folds.
    """
    known = read_journal(journal)
    summary = {
        each["name"]: {
            fold: known[key]
            for fold in range(folds)
            if (key := (load(each).hash, folds, fold)) in known
        }
        for each in candidates
    }
    first = summary[candidates[0]["name"]]
    rows = []
    for each in candidates:
        lines = summary[each["name"]]
        if not lines:
            continue
        accuracies = [100 * line["accuracy"] for line in lines.values()]
        pairs = [
            100 * (line["accuracy"] - first[fold]["accuracy"])
            for fold, line in lines.items()
            if fold in first
        ]
        rows.append(
            {
                "name": each["name"],
                "recipe": each["recipe"],
                "set": each.get("set", {}),
                "hash": load(each).hash,
                "folds": len(lines),
                "accuracy_mean": round(statistics.mean(accuracies), 3),
                "accuracy_ci95": interval(accuracies),
                "loss_mean": round(statistics.mean(line["loss"] for line in lines.values()), 4),
                "against_first": round(statistics.mean(pairs), 3) if len(pairs) > 1 else None,
                "against_first_ci95": interval(pairs),
                "train_s_median": round(
                    statistics.median(line["train_s"] for line in lines.values()), 2
                ),
                "hardware_classes": sorted({line["hardware_class"] for line in lines.values()}),
            }
        )
    return sorted(rows, key=lambda row: -row["accuracy_mean"])


def interval(values: list[float]) -> list[float] | None:
    """Return the mean's 95% interval by Student's t over folds; None for fewer than two."""
    if len(values) < 2:
        return None
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values)
    half /= len(values) ** 0.5
    mean = statistics.mean(values)
    return [round(mean - half, 3), round(mean + half, 3)]


def line(row: dict[str, Any], folds: int) -> str:
    """Format a row as text."""
    against, bounds = row["against_first"], row["against_first_ci95"]
    paired = "" if against is None else f"{against:+6.2f} [{bounds[0]:+.2f}, {bounds[1]:+.2f}]"
    return (
        f"{row['name']:<32}{row['accuracy_mean']:7.2f}%  loss {row['loss_mean']:.3f}  "
        f"{paired:<24}{row['train_s_median']:7.1f} s  {row['folds']} of {folds} folds"
    )


def main() -> None:
    """Run the search and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("candidates", type=Path)
    parser.add_argument("--data-dir", type=Path, help="required unless the journal is complete")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--journal", type=Path, help="default: next to the candidates, .jsonl")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    candidates = tomllib.loads(arguments.candidates.read_text(encoding="utf-8"))["candidate"]
    journal = arguments.journal or arguments.candidates.with_suffix(".jsonl")
    if arguments.data_dir is not None:
        search(candidates, arguments.data_dir, arguments.folds, journal)
    rows = summarize(candidates, arguments.folds, journal)
    data = {"track": TRACK, "folds": arguments.folds, "rows": rows}
    if not emit("oraclezoo/search/1", data, arguments):
        print("\n".join(line(row, arguments.folds) for row in rows))


if __name__ == "__main__":
    main()
