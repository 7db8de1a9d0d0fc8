"""Measure how fast characters are generated, on all cores.

Each turn generates the same images. Images per second count wall time; images per CPU second are
what one core generates without other work on it.

    python benchmarks/glyphs_speed.py [--images 4000] [--turns 5] [--json] [--out FILE]

--out FILE writes the measurements as JSON.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from _measured import Figures, emit, options, positive, spread

from oraclezoo.data.glyphs import VERSION, generate
from oraclezoo.measure.hardware import cpu_name

SCHEMA = "oraclezoo/glyphs-speed/1"
CLASSES = 10


def main(words: Sequence[str] | None = None) -> None:
    parser = options(__doc__)
    parser.add_argument("--images", type=positive, default=4000, help="images in a turn")
    parser.add_argument("--turns", type=positive, default=5, help="turns to time")
    arguments = parser.parse_args(words)
    count = 500 if arguments.quick else arguments.images
    data = measure([count // CLASSES] * CLASSES, 1 if arguments.quick else arguments.turns)
    if not emit(SCHEMA, data, arguments):
        print(
            f"{data['images_per_s']['median']:,} images/s on {data['cores']} cores, "
            f"{data['images_per_cpu_s']['median']:,} per CPU second"
        )


def measure(counts: Sequence[int], turns: int) -> Figures:
    """Return the document: rates of all turns, after one that warms up tables and caches."""
    generate([1] * CLASSES, 0)
    rates, cpu_rates = [], []
    for seed in range(turns):
        wall, cpu = time.perf_counter(), time.process_time()
        generate(counts, seed)
        rates.append(sum(counts) / (time.perf_counter() - wall))
        cpu_rates.append(sum(counts) / (time.process_time() - cpu))
    return {
        "generator": VERSION,
        "images": sum(counts),
        "cores": os.cpu_count(),
        "processor": cpu_name(),
        "images_per_s": spread(rates, 0),
        "images_per_cpu_s": spread(cpu_rates, 0),
    }


if __name__ == "__main__":
    main()
