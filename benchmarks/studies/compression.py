"""Check claims about pruning, int8 and their combination against bounds.

Each claim is a row with its value, interval, bound, and whether it holds. Intervals of accuracy
losses are paired 95% intervals over images and seeds; those of speedups are ranges over rounds. The
runs folder caches models, so that an interrupted run resumes. Every run measures accuracy on the
track's test images and all times again. No choice (recipes, epochs, pruned channels, layers in
float) used a test image.

    python benchmarks/studies/compression.py --data-dir FOLDER
        [--only resnet18,int8,chain,mobilenet] [--seeds 3] [--track oracle-mnist-3k]
        [--runs FOLDER] [--json] [--out FILE]

With ``--only``, the file in ``--out`` keeps its other parts. Without ``--data-dir``, the track is
glyphs-3k, whose images are generated.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from _shared import Figures, emit, machine, names, noise, options, positive

from oraclezoo.errors import OracleZooError

if TYPE_CHECKING:
    from _compressing import Bench

SCHEMA = "oraclezoo/compression/1"
PARTS = ("resnet18", "int8", "chain", "mobilenet")
ROUNDS = 5
QUICK_IMAGES = 180


def main() -> None:
    """Run the measurements, print and write them."""
    arguments = parse(sys.argv[1:])
    with ExitStack() as stack:
        if arguments.quick:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            arguments.data_dir = noise(folder / "data", QUICK_IMAGES)
            arguments.runs, arguments.track = folder / "runs", "idx"
        bench = opened(arguments)
        parts = earlier(arguments)
        data, failed = document(bench, parts, arguments.quick), False
        for name in arguments.only:
            try:
                parts[name] = measure(bench, name, arguments.quick)
            except OracleZooError as error:  # continue with the other parts
                failed = True
                print(f"compression.py: {name}: {error}", file=sys.stderr, flush=True)
                continue
            data = document(bench, parts, arguments.quick)
            printed = argparse.Namespace(out=arguments.out, json=False)
            emit(SCHEMA, data, printed)  # write now, in case the next part fails
    if not emit(SCHEMA, data, arguments):
        show(data)
    if failed:
        raise SystemExit(1)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse options, and fill in defaults that depend on each other."""
    parser = options(__doc__)
    parser.add_argument("--only", type=names, help=f"comma-separated parts: {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=positive, help="trainings per model (3)")
    parser.add_argument("--rounds", type=positive, help=f"timing rounds ({ROUNDS})")
    parser.add_argument("--track", help="oracle-mnist-3k; without --data-dir glyphs-3k")
    parser.add_argument("--data-dir", type=Path, help="folder with the track's files")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder that caches models")
    arguments = parser.parse_args(words)
    arguments.only = arguments.only or list(PARTS)
    unknown = [name for name in arguments.only if name not in PARTS]
    if unknown:
        parser.error(f"--only: unknown part {unknown[0]}; known parts: {', '.join(PARTS)}")
    arguments.seeds = arguments.seeds or (1 if arguments.quick else 3)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)
    arguments.track = arguments.track or ("oracle-mnist-3k" if arguments.data_dir else "glyphs-3k")
    return arguments


def opened(arguments: argparse.Namespace) -> Bench:
    """Open the data set and the folders."""
    from _compressing import Bench

    import oraclezoo as oz

    registry = oz.registry()
    dataset = registry.create(
        "dataset", arguments.track, data_dir=arguments.data_dir, progress=None
    )
    dataset.split("train"), dataset.split("validation")  # computes their digests
    seeds = tuple(range(arguments.seeds))
    return Bench(
        arguments.runs,
        arguments.track,
        arguments.data_dir,
        seeds,
        arguments.rounds,
        registry,
        dataset,
    )


def measure(bench: Bench, name: str, quick: bool) -> Figures:
    """Measure one part, and record the setup."""
    from _compressing_parts import PARTS as WORK
    from _compressing_parts import QUICK, Effort
    from _rounding import mobile

    with machine("cpu", None) as about:
        result = {**WORK, "mobilenet": mobile}[name](bench, QUICK if quick else Effort())
    return {**result, **about, "seeds": list(bench.seeds), "rounds": bench.rounds}


def earlier(arguments: argparse.Namespace) -> dict[str, Figures]:
    """Return existing parts of the output file, if they are of the same track."""
    if arguments.out is None or not arguments.out.is_file():
        return {}
    data = json.loads(arguments.out.read_text(encoding="utf-8"))["data"]
    if (data["track"], data["quick"]) != (arguments.track, arguments.quick):
        return {}
    return {
        name: {**part, "rows": [row for row in data["rows"] if row["part"] == name]}
        for name, part in data["parts"].items()
    }


def document(bench: Bench, parts: Mapping[str, Figures], quick: bool) -> Figures:
    """Return all rows with the names of their parts, and the details of each part."""
    order = [name for name in PARTS if name in parts]
    rows = [{**row, "part": name} for name in order for row in parts[name]["rows"]]
    earlier = {
        name: {key: value for key, value in parts[name].items() if key != "rows"} for name in order
    }
    return {
        "track": bench.track,
        "synthetic": bench.dataset.synthetic,
        "test_images": len(bench.dataset.split("test").labels),
        "quick": quick,
        "rows": rows,
        "parts": earlier,
    }


def show(data: Figures) -> None:
    """Print the rows."""
    note = " (generated)" if data["synthetic"] else ""
    print(f"{data['track']}{note}, {data['test_images']:,} test images")
    for row in data["rows"]:
        bounds = "" if row["interval"] is None else " [{:.2f} to {:.2f}]".format(*row["interval"])
        says = "holds" if row["holds"] else "DOES NOT HOLD"
        print(
            f"{says:14} {row['claim']}: {row['value']:.2f}{bounds} {row['unit']}, "
            f"claimed {row['bound_is']} {row['bound']:g}"
        )


if __name__ == "__main__":
    try:
        main()
    except OracleZooError as error:
        sys.exit(f"compression.py: {error}")
