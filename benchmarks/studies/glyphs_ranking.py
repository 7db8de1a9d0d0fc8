"""Compare the ranking of recipes on generated and on real characters.

Benchmarks ten recipes of the closed division under the protocol, with five seeds, on glyphs-3k and
oracle-mnist-3k, which have equal sizes. Reports the rank correlation of mean accuracies, and how
many of the pairs that differ significantly on both tracks have the same order.

    python benchmarks/studies/glyphs_ranking.py --data-dir FOLDER [--seeds 5] [--json] [--out FILE]
    python benchmarks/studies/glyphs_ranking.py --published [--json] [--out FILE]

Jobs are kept in the folder of --runs, so that an interrupted run resumes. With --published, the
script trains nothing and uses all recipes with published, closed, uncompressed results on both
tracks. Output: benchmarks/measurements/glyphs-ranking.json and glyphs-ranking-published.json.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
from _shared import RESULTS, emit
from scipy import stats

import oraclezoo as oz
from oraclezoo.data.glyphs import VERSION
from oraclezoo.ranking.load import load_results
from oraclezoo.ranking.table import Table, tables

SCHEMA = "oraclezoo/glyphs-ranking/1"
GENERATED, REAL = "glyphs-3k", "oracle-mnist-3k"
RESAMPLES = 10_000

STILL = {f"augment.{key}": 0.0 for key in ("shift", "rotate", "scale", "shear", "elastic")} | {
    "augment.cutout": 0,
    "augment.flip": False,
}
MOVING = {
    "augment.shift": 3.0,
    "augment.rotate": 12.0,
    "augment.scale": 0.1,
    "augment.shear": 0.1,
    "augment.flip": True,
}
ADAM = {"optimizer.name": "adam", "optimizer.lr": 1e-3, "scheduler.name": "onecycle"}

RECIPES: dict[str, tuple[str, dict[str, object]]] = {
    "oraclenet-muon": ("quick", {}),
    "oraclenet-adamw": ("quick", {"optimizer.name": "adamw", "optimizer.lr": 3e-3}),
    "oraclenet-sgd": ("quick", {"optimizer.name": "sgd", "optimizer.lr": 0.1}),
    "oraclenet-unaugmented": ("quick", STILL),
    "oraclenet-half": ("quick", {"backbone.name": "oraclenet", "backbone.width": 0.5}),
    "oraclenet-quarter": ("quick", {"backbone.name": "oraclenet", "backbone.width": 0.25}),
    "authors-cnn": ("authors-cnn", {}),
    "lenet5-augmented": ("authors-cnn", MOVING),
    "lenet5-adam": ("authors-cnn", ADAM),
    "course-project": ("course-project", {}),
}
"""Name -> the underlying shipped recipe and the changes to it."""


def measure(data_dir: Path, seeds: int, runs: Path) -> dict[str, Any]:
    """Benchmark on both tracks, then compare."""
    recipes = [
        oz.Recipe.load(base, {**changes, "name": name}) for name, (base, changes) in RECIPES.items()
    ]
    benched = {}
    for track in (GENERATED, REAL):
        results = oz.bench(
            recipes,
            track=track,
            data_dir=data_dir if track == REAL else None,
            seeds=seeds,
            out=runs / "results",
            runs=runs,
        )
        benched[track] = oz.leaderboard(results)
        print(f"{track} is done", file=sys.stderr)
    return compare(benched, list(RECIPES), seeds)


def published() -> dict[str, Any]:
    """Compare published results: all recipes in the closed division of both tracks."""
    entries = [
        entry
        for entry in load_results([RESULTS])
        if entry.result.track.division == "closed"
        and entry.result.track.name in (GENERATED, REAL)
        and not entry.result.recipe.content.get("compress", {}).get("steps")
    ]
    named = {
        track: {entry.result.recipe.name for entry in entries if entry.result.track.name == track}
        for track in (GENERATED, REAL)
    }
    shared = named[GENERATED] & named[REAL]
    both_tables = tables([entry for entry in entries if entry.result.recipe.name in shared])
    by_track = {table.track: table for table in both_tables}
    seeds = min(len(entry.result.seeds) for entry in entries)
    return compare(by_track, [row.recipe for row in by_track[REAL].rows], seeds)


def compare(boards: dict[str, Table], names: list[str], seeds: int) -> dict[str, Any]:
    """Compare the order of the recipes on both leaderboards."""
    means = {track: accuracies(table, names) for track, table in boards.items()}
    tau = stats.kendalltau(means[GENERATED], means[REAL])
    rho = stats.spearmanr(means[GENERATED], means[REAL])
    separated = {track: separated_pairs(table) for track, table in boards.items()}
    both = [pair for pair in separated[REAL] if set(pair) in map(set, separated[GENERATED])]
    agreeing = [pair for pair in both if pair in separated[GENERATED]]
    return {
        "generator": VERSION,
        "seeds": seeds,
        "recipes": [
            {
                "name": name,
                **{
                    track: {
                        "accuracy_percent": means[track][rank],
                        "sd_points": row(boards[track], name).seed_std_points,
                    }
                    for track in boards
                },
            }
            for rank, name in enumerate(names)
        ],
        "spearman": float(rho.statistic),
        "kendall": float(tau.statistic),
        "kendall_ci95": interval(means[GENERATED], means[REAL]),
        "pairs": len(names) * (len(names) - 1) // 2,
        "pairs_separated": {track: len(pairs) for track, pairs in separated.items()},
        "pairs_separated_on_both": len(both),
        "pairs_in_the_same_order": len(agreeing),
        "disagreeing": [list(pair) for pair in both if pair not in agreeing],
        "hardware_class": boards[REAL].rows[0].hardware_class,
    }


def row(table: Table, name: str) -> Any:
    """Return the row of a recipe."""
    return next(each for each in table.rows if each.recipe == name)


def accuracies(table: Table, names: list[str]) -> list[float]:
    """Return mean test accuracies in percent. Raises SystemExit if a recipe has none."""
    values = [row(table, name).accuracy_percent for name in names]
    if None in values:
        raise SystemExit(f"{table.track}: {names[values.index(None)]} failed at every seed")
    return values


def separated_pairs(table: Table) -> list[tuple[str, str]]:
    """Return (better, worse) for each pair of rows that differ significantly."""
    return [
        (upper.recipe, lower.recipe)
        for upper, lower in itertools.combinations(table.rows, 2)
        if lower.number not in upper.ties_with
    ]


def interval(a: list[float], b: list[float]) -> list[float]:
    """Return a 95% interval of Kendall's tau over recipes (percentile bootstrap)."""
    generator = np.random.default_rng(0)
    x, y = np.array(a), np.array(b)
    taus = []
    for _ in range(RESAMPLES):
        sample = generator.integers(0, len(x), len(x))
        if len(set(sample.tolist())) > 2:
            taus.append(stats.kendalltau(x[sample], y[sample]).statistic)
    return [float(np.nanpercentile(taus, q)) for q in (2.5, 97.5)]


def main() -> None:
    """Run the study and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with Oracle-MNIST's files")
    parser.add_argument(
        "--published", action="store_true", help="use published results instead of training"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    if arguments.published == bool(arguments.data_dir):
        parser.error("give either --data-dir FOLDER or --published")
    data = (
        published()
        if arguments.published
        else measure(arguments.data_dir, arguments.seeds, arguments.runs)
    )
    if emit(SCHEMA, data, arguments):
        return
    for each in sorted(data["recipes"], key=lambda r: -r[REAL]["accuracy_percent"]):
        print(
            f"{each['name']:<24}{each[REAL]['accuracy_percent']:6.2f} real"
            f"{each[GENERATED]['accuracy_percent']:8.2f} generated"
        )
    print(
        f"Spearman {data['spearman']:.3f}, Kendall {data['kendall']:.3f}; "
        f"{data['pairs_in_the_same_order']} of {data['pairs_separated_on_both']} pairs "
        "in the same order"
    )


if __name__ == "__main__":
    main()
