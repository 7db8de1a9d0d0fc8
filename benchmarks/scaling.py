"""Measure training speed and peak memory by size of the data set and by width of OracleNet.

Each row runs in a separate process. The rows of a table take turns, and each speed is a median over
turns. Images are noise of 28 x 28 pixels. Data sets above ``--stream-above-mb`` are trained both in
memory and streamed from their file. On a GPU, memory is device memory, otherwise that of the whole
process.

    python benchmarks/scaling.py [--turns 5] [--turn-s 2] [--largest 1000000] [--json] [--out FILE]

Output: benchmarks/measurements/scaling.json.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _measured import Figures, emit, machine, noise, options, positive, spread
from _turns import rounds, running

from oraclezoo.errors import OracleZooError

SCHEMA = "oraclezoo/scaling/1"
IMAGES = (1_000, 10_000, 100_000, 1_000_000)
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
MODEL, BATCH = "oraclenet", 256
NEVER = 1 << 50


def main() -> None:
    """Run the measurements, print and write them."""
    arguments = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory() as name, machine(arguments.device, arguments.threads) as m:
        base = {
            "way": "engine",
            "model": MODEL,
            "batch_size": BATCH,
            "channels_last": True,
            "augmented": True,
            "compile": "off",
            "device": m["device"],
            "threads": arguments.threads,
            "precision": arguments.precision or ("bf16" if "cuda" in m["device"] else "fp32"),
        }
        images = over_images(base, Path(name), arguments)
        widths = over_widths(base, Path(name), arguments)
    data = {
        "model": MODEL,
        "batch_size": BATCH,
        "precision": base["precision"],
        "turns": arguments.turns,
        "turn_s": arguments.turn_s,
        "stream_above_mb": arguments.stream_above_mb,
        "quick": arguments.quick,
        **m,
        "images": images,
        "widths": widths,
    }
    if not emit(SCHEMA, data, arguments):
        show(data)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse options, and fill in those of a quick run."""
    parser = options(__doc__)
    parser.add_argument("--turns", type=positive, help="turns per row (5)")
    parser.add_argument("--turn-s", type=float, help="length of a turn in seconds (2)")
    parser.add_argument("--largest", type=positive, help="largest number of images (1,000,000)")
    parser.add_argument(
        "--stream-above-mb", type=float, help="stream data sets above this size (50)"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), help="default: fp32; on a GPU bf16"
    )
    parser.add_argument(
        "--threads", type=positive, default=os.cpu_count(), help="number of PyTorch threads"
    )
    arguments = parser.parse_args(words)
    quick = arguments.quick
    arguments.turns = arguments.turns or (2 if quick else 5)
    arguments.turn_s = arguments.turn_s or (0.3 if quick else 2.0)
    arguments.largest = arguments.largest or (10_000 if quick else IMAGES[-1])
    if arguments.stream_above_mb is None:
        arguments.stream_above_mb = 5.0 if quick else 50.0
    if arguments.largest < IMAGES[0]:
        parser.error(f"--largest must be at least {IMAGES[0]:,}")
    return arguments


def sizes(largest: int) -> list[int]:
    """Return the numbers of images up to the largest."""
    return [count for count in IMAGES if count <= largest]


def places(count: int, stream_above_mb: float) -> list[bool]:
    """Return the modes to measure: in memory, and above the limit also streamed."""
    return [False, True] if count * 28 * 28 > stream_above_mb * 1e6 else [False]


def over_images(base: dict[str, Any], folder: Path, arguments: argparse.Namespace) -> list[Figures]:
    """Return a row for each number of images and mode."""
    rows, settings = [], []
    for count in sizes(arguments.largest):
        data = noise(folder / f"images-{count}", count)
        for streamed in places(count, arguments.stream_above_mb):
            rows.append({"images": count, "mb": count * 784 / 1e6, "streamed": streamed})
            settings.append(base | {"data": str(data), "stream_above": 0 if streamed else NEVER})
    note(f"sizes of the data set, {len(rows)} rows")
    figures = measure(settings, arguments)
    return [about | measured for about, measured in zip(rows, figures, strict=True)]


def over_widths(base: dict[str, Any], folder: Path, arguments: argparse.Namespace) -> list[Figures]:
    """Return a row for each width of OracleNet."""
    data = noise(folder / "widths", 2_000)
    widths = WIDTHS[1:3] if arguments.quick else WIDTHS
    note(f"widths of OracleNet, {len(widths)} rows")
    settings = [base | {"data": str(data), "options": {"width": width}} for width in widths]
    rows = []
    for width, figures in zip(widths, measure(settings, arguments), strict=True):
        rate = figures["images_per_s"]["median"]
        gflops = round(rate * figures["flops_per_image"] / 1e9, 1)
        rows.append({"width": width, "gflops_per_s": gflops, **figures})
    return rows


def measure(settings: Sequence[dict[str, Any]], arguments: argparse.Namespace) -> list[Figures]:
    """Measure each setting in a separate process; the processes take turns."""
    with running(settings) as contenders:
        rates = rounds(contenders, arguments.turns, arguments.turn_s)
        return [
            {
                "images_per_s": spread(turns),
                "peak_memory_bytes": each.turn(0)["peak_memory_bytes"],
                "first_step_s": each.facts["first_step_s"],
                "parameters": each.facts["parameters"],
                "flops_per_image": round(each.facts["flops_per_image"]),
            }
            for each, turns in zip(contenders, rates, strict=True)
        ]


def note(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def show(data: Figures) -> None:
    """Print the figures."""
    hardware = data["hardware"]
    print(f"{hardware['device']}, {hardware['threads']} threads, {data['precision']}")
    for row in data["images"]:
        how = "streamed" if row["streamed"] else "held"
        print(f"{row['images']:>9,} images {how:9} {figures_of(row)}")
    for row in data["widths"]:
        size = f"{row['parameters'] / 1e6:.2f}M parameters"
        print(f"width {row['width']:<4g} {size} {figures_of(row)} {row['gflops_per_s']} GFLOP/s")


def figures_of(row: Figures) -> str:
    """Format speed and memory of a row."""
    rate, memory = row["images_per_s"], row["peak_memory_bytes"]
    peak = "unknown" if memory is None else f"{memory / 1e6:,.0f} MB"
    return (
        f"{rate['median']:10,.0f} images/s ({rate['min']:,.0f} to {rate['max']:,.0f}), "
        f"peak memory {peak}"
    )


if __name__ == "__main__":
    try:
        main()
    except OracleZooError as error:
        sys.exit(f"scaling.py: {error}")
