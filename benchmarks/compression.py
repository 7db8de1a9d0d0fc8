"""What compression costs and brings: pruning, int8 and the chain of both, held to what was claimed.

Each claim is a row: its value, a 95% interval (of losses over images and seeds, paired; of speeds
the range over rounds), the bound and whether it holds. Models are trained and made once and kept in
the runs folder, so that a stopped run goes on where it was; losses are then measured on the track's
test images, and times taken anew, each time. All that was chosen (recipes, epochs, what is pruned,
what stays in float) was chosen without a test image.

    python benchmarks/compression.py --data-dir FOLDER [--only resnet18,int8,chain,mobilenet]
        [--seeds 3] [--track oracle-mnist-3k] [--runs FOLDER] [--json] [--out FILE]

With ``--only``, the other parts of a file that ``--out`` names stay as they are in it. Without
``--data-dir`` the track is glyphs-3k, whose images are generated.
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

from _measured import Figures, emit, machine, names, noise, options, positive

from oraclezoo.errors import OracleZooError

if TYPE_CHECKING:
    from _compressing import Bench

SCHEMA = "oraclezoo/compression/1"
PARTS = ("resnet18", "int8", "chain", "mobilenet")
ROUNDS = 5
QUICK_IMAGES = 180


def main() -> None:
    """Measure, print, and write if asked."""
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
            except OracleZooError as error:  # the other parts can do without it
                failed = True
                print(f"compression.py: {name}: {error}", file=sys.stderr, flush=True)
                continue
            data = document(bench, parts, arguments.quick)
            shown = argparse.Namespace(out=arguments.out, json=False)
            emit(SCHEMA, data, shown)  # a part that is done is not lost with the next one
    if not emit(SCHEMA, data, arguments):
        show(data)
    if failed:
        raise SystemExit(1)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options, with defaults that depend on one another filled in."""
    parser = options(__doc__)
    parser.add_argument("--only", type=names, help=f"some parts of {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=positive, help="trainings of each (3)")
    parser.add_argument("--rounds", type=positive, help=f"of times ({ROUNDS})")
    parser.add_argument("--track", help="oracle-mnist-3k; without --data-dir glyphs-3k")
    parser.add_argument("--data-dir", type=Path, help="where the track's files are")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="of what is made, kept")
    given = parser.parse_args(words)
    given.only = given.only or list(PARTS)
    unknown = [name for name in given.only if name not in PARTS]
    if unknown:
        parser.error(f"--only: there is no part {unknown[0]}; there is {', '.join(PARTS)}")
    given.seeds = given.seeds or (1 if given.quick else 3)
    given.rounds = given.rounds or (1 if given.quick else ROUNDS)
    given.track = given.track or ("oracle-mnist-3k" if given.data_dir else "glyphs-3k")
    return given


def opened(arguments: argparse.Namespace) -> Bench:
    """The data set and the folders."""
    from _compressing import Bench

    import oraclezoo as oz

    registry = oz.registry()
    dataset = registry.create(
        "dataset", arguments.track, data_dir=arguments.data_dir, progress=None
    )
    dataset.split("train"), dataset.split("validation")  # their digests are known from now on
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
    """One part, with what it was measured on."""
    from _compressing_parts import PARTS as WORK
    from _compressing_parts import QUICK, Effort
    from _rounding import mobile

    with machine("cpu", None) as about:
        made = {**WORK, "mobilenet": mobile}[name](bench, QUICK if quick else Effort())
    return {**made, **about, "seeds": list(bench.seeds), "rounds": bench.rounds}


def earlier(arguments: argparse.Namespace) -> dict[str, Figures]:
    """Parts of the file that is written to, if they are of the same track."""
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
    """All rows, each with its part's name, and what else the parts found."""
    order = [name for name in PARTS if name in parts]
    rows = [{**row, "part": name} for name in order for row in parts[name]["rows"]]
    found = {
        name: {key: value for key, value in parts[name].items() if key != "rows"} for name in order
    }
    return {
        "track": bench.track,
        "synthetic": bench.dataset.synthetic,
        "test_images": len(bench.dataset.split("test").labels),
        "quick": quick,
        "rows": rows,
        "parts": found,
    }


def show(data: Figures) -> None:
    """The rows for a reader."""
    made = " (generated)" if data["synthetic"] else ""
    print(f"{data['track']}{made}, {data['test_images']:,} test images")
    for row in data["rows"]:
        ends = "" if row["interval"] is None else " [{:.2f} to {:.2f}]".format(*row["interval"])
        says = "holds" if row["holds"] else "DOES NOT HOLD"
        print(
            f"{says:14} {row['claim']}: {row['value']:.2f}{ends} {row['unit']}, "
            f"claimed {row['bound_is']} {row['bound']:g}"
        )


if __name__ == "__main__":
    try:
        main()
    except OracleZooError as error:
        sys.exit(f"compression.py: {error}")
