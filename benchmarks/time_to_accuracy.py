"""Measure training time and test accuracy of recipes.

Benchmarks each recipe like ``oraclezoo bench``: one process per training, scored afterwards.
Existing runs in the runs folder are reused, so that an interrupted benchmark resumes. A row has the
mean test accuracy with its 95% interval (over images and seeds) and the median training time. Times
are comparable only within a hardware class.

    python benchmarks/time_to_accuracy.py --data-dir FOLDER [--recipes default,quick] [--seeds 5]
        [--track oracle-mnist-3k] [--json] [--out FILE]

Without ``--data-dir``, the track is glyphs-3k, whose images are generated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from _measured import Figures, emit, machine, names, options, positive

import oraclezoo as oz
from oraclezoo import recipe
from oraclezoo.errors import OracleZooError

if TYPE_CHECKING:
    from oraclezoo.benching.recipe import Progress
    from oraclezoo.ranking.rows import Row

SCHEMA = "oraclezoo/time-to-accuracy/1"


def main() -> None:
    """Run the measurements, print and write them."""
    arguments = parse(sys.argv[1:])
    with ExitStack() as stack:
        if arguments.quick:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            arguments.runs, arguments.results = folder / "runs", folder / "results"
        about = stack.enter_context(machine(arguments.device, None))
        results = oz.bench(
            recipes(arguments),
            track=arguments.track,
            seeds=arguments.seeds,
            data_dir=arguments.data_dir,
            device=arguments.device,
            out=arguments.results,
            runs=arguments.runs,
            report=tell,
        )
        figures = rows(results)
    data = {
        "track": arguments.track,
        "synthetic": results[0].track.synthetic,
        "test_images": results[0].track.test,
        "quick": arguments.quick,
        **about,
        "rows": figures,
    }
    if not emit(SCHEMA, data, arguments):
        show(data)
    if any(row["failures"] for row in figures):
        raise SystemExit(1)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse options, and fill in defaults that depend on each other."""
    parser = options(__doc__)
    parser.add_argument("--recipes", type=names, help="names or files (all shipped recipes)")
    parser.add_argument("--seeds", type=positive, help="trainings per recipe (5)")
    parser.add_argument("--track", help="oracle-mnist-3k; without --data-dir glyphs-3k")
    parser.add_argument("--data-dir", type=Path, help="folder with the track's files")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results"
    )
    arguments = parser.parse_args(words)
    arguments.recipes = arguments.recipes or (["quick"] if arguments.quick else recipe.shipped())
    arguments.seeds = arguments.seeds or (2 if arguments.quick else 5)
    arguments.track = arguments.track or ("oracle-mnist-3k" if arguments.data_dir else "glyphs-3k")
    if arguments.seeds < 2:
        parser.error("--seeds must be at least 2 for an interval")
    return arguments


def recipes(arguments: argparse.Namespace) -> list[oz.Recipe]:
    """Load the recipes, with one epoch each for a quick run."""
    changes = {"budget.epochs": 1} if arguments.quick else {}
    return [oz.Recipe.load(name, changes) for name in arguments.recipes]


def rows(results: Iterable[oz.Result]) -> list[Figures]:
    """Return a row per recipe, best first within a division."""
    from oraclezoo.ranking.table import tables

    by_id = {result.id: result for result in results}
    return [
        row(by_id[each.id], each, table.division)
        for table in tables(by_id.values())
        for each in table.rows
    ]


def row(result: oz.Result, ranked: Row, division: str) -> Figures:
    """Return the figures of one result: accuracies as fractions, times in s."""
    times = [seed.train_s for seed in result.seeds]
    interval = (ranked.ci95_low_percent, ranked.ci95_high_percent)
    return {
        "recipe": result.recipe.name,
        "recipe_hash": result.recipe.hash,
        "division": division,
        "seeds": len(result.seeds),
        "test_accuracy_mean": share(ranked.accuracy_percent),
        "test_accuracy_ci95": [share(end) for end in interval],
        "train_s_median": round(median(times), 2) if times else None,
        "train_s_min": round(min(times), 2) if times else None,
        "train_s_max": round(max(times), 2) if times else None,
        "compile_s_median": round(median(s.compile_s for s in result.seeds), 2) if times else None,
        "hardware_class": result.hardware.class_,
        "failures": [f"seed {each.seed}: {each.message}" for each in result.failures],
    }


def share(percent: float | None) -> float | None:
    """Convert percent to a fraction; None and NaN become None."""
    return None if percent is None or percent != percent else round(percent / 100, 5)


def tell(progress: Progress) -> None:
    """Print one line for each finished training."""
    if progress.event in ("done", "kept", "failed"):
        what = f"{progress.recipe}, seed {progress.seed}: {progress.event}"
        print(f"{what} ({progress.done:.0f} of {progress.total})", file=sys.stderr, flush=True)


def show(data: Figures) -> None:
    """Print the figures."""
    note = " (generated)" if data["synthetic"] else ""
    print(f"{data['track']}{note}, {data['test_images']:,} test images")
    for each in data["rows"]:
        mean, (low, high) = each["test_accuracy_mean"], each["test_accuracy_ci95"]
        if mean is None or low is None:
            print(f"{each['recipe']:18} {each['division']:7} no accuracy: {each['failures']}")
            continue
        print(
            f"{each['recipe']:18} {each['division']:7} {mean:.1%} [{low:.1%} to {high:.1%}], "
            f"{each['train_s_median']} s, {each['seeds']} seeds, {each['hardware_class']}"
        )


if __name__ == "__main__":
    try:
        main()
    except OracleZooError as error:
        sys.exit(f"time_to_accuracy.py: {error}")
