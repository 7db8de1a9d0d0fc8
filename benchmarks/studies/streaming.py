"""Measure the cost of streaming: training speed, and ways to read a batch from a file.

Training: one epoch on noise images, in memory and streamed in alternation; the ratio is computed
within each round. Reading: random batches of 256 images from a large file, with positioned reads
(oraclezoo's method) and through a memory map whose touched pages are kept or released after each
batch. Both are measured with the file in the page cache and on disk only.

    python benchmarks/studies/streaming.py [--rounds 5] [--images N] [--file-mb 400]
        [--json] [--out FILE]

Output: benchmarks/measurements/streaming.json.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import oraclezoo as oz
from oraclezoo.data.idx import read_header, write_idx
from oraclezoo.data.streamed import ImagesInFile
from oraclezoo.measure import hardware

SCHEMA = "oraclezoo/streaming/1"
SIZE, BATCH, BATCHES = 28, 256, 100
RECIPES = {"oraclenet": "default", "lenet5": "authors-cnn"}
Read = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]]


def make(folder: Path, images: int) -> None:
    """Write IDX files of noise."""
    generator = np.random.default_rng(0)
    for part, count in (("train", images), ("t10k", 100)):
        pixels = generator.integers(0, 256, (count, SIZE, SIZE), np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", pixels)
        labels = (np.arange(count) % 10).astype(np.uint8)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)


def train(name: str, data: Path, out: Path, above: int | None) -> float:
    """Return images/s of one epoch; ``above`` None keeps everything in memory."""
    changes = {"data.track": "idx", "budget.epochs": 1, "budget.batch_size": BATCH}
    run = oz.train(
        oz.Recipe.load(name, changes),
        data_dir=data,
        out=out,
        overwrite=True,
        stream_above=1 << 50 if above is None else above,
    )
    assert run.record.streamed == (above == 0)
    return float(run.metrics[-1].images_per_s)


def training(folder: Path, images: int, rounds: int) -> list[dict[str, Any]]:
    """Return a row per backbone: images/s in memory and streamed, and their ratio."""
    data = folder / "data"
    data.mkdir()
    make(data, images)
    rows = []
    for backbone, name in RECIPES.items():
        train(name, data, folder / "runs", 0)  # warm-up
        pairs = []
        for number in range(rounds):
            order = (None, 0) if number % 2 else (0, None)
            speeds = {above: train(name, data, folder / "runs", above) for above in order}
            pairs.append((speeds[None], speeds[0]))
        ratios = [streamed / resident for resident, streamed in pairs]
        rows.append(
            {
                "backbone": backbone,
                "resident_images_per_s": round(median(one for one, _ in pairs)),
                "streamed_images_per_s": round(median(other for _, other in pairs)),
                "ratio": round(median(ratios), 3),
                "ratio_min": round(min(ratios), 3),
                "ratio_max": round(max(ratios), 3),
            }
        )
    return rows


def reading(folder: Path, file_mb: int, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each method and state of the file, in µs per batch of 256."""
    path, count = folder / "large", file_mb * 1_000_000 // SIZE**2
    write_idx(path, np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE), np.uint8))
    header = read_header(path)
    images = ImagesInFile(path, header)
    file = os.open(path, os.O_RDONLY)
    mapped = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    array = np.frombuffer(mapped, np.uint8, offset=header.offset).reshape(header.shape)

    def give_back(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        batch = array[rows]
        mapped.madvise(mmap.MADV_DONTNEED)
        return batch

    ways: dict[str, Read] = {
        "reads": images.__getitem__,
        "memory map, pages kept": array.__getitem__,
        "memory map, pages released": give_back,
    }
    times: dict[tuple[str, bool], list[float]] = {}
    for number in range(rounds):
        order = np.random.default_rng(number).permutation(count)
        for cached in (True, False):
            for way, read in ways.items():
                mapped.madvise(mmap.MADV_DONTNEED)
                if not cached:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                start = time.perf_counter()
                for first in range(0, BATCHES * BATCH, BATCH):
                    read(order[first : first + BATCH])
                elapsed_us = (time.perf_counter() - start) / BATCHES * 1e6
                times.setdefault((way, cached), []).append(elapsed_us)
                if not cached:
                    path.read_bytes()  # back into the page cache
    os.close(file)
    return [
        {
            "way": way,
            "cached": cached,
            "batch_us": round(median(seconds)),
            "batch_us_min": round(min(seconds)),
            "batch_us_max": round(max(seconds)),
        }
        for (way, cached), seconds in sorted(times.items(), key=lambda item: not item[0][1])
    ]


def main() -> None:
    """Run the measurements, print and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    parser.add_argument("--images", type=int, default=6000, help="number of training images")
    parser.add_argument("--file-mb", type=int, default=400, help="size of the file to read from")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = {
            "rounds": arguments.rounds,
            "image_size": SIZE,
            "batch_size": BATCH,
            "training_images": arguments.images,
            "file_mb": arguments.file_mb,
            "hardware": hardware.describe(torch.device("cpu")),
            "libraries": hardware.libraries(),
            "training": training(folder, arguments.images, arguments.rounds),
            "reading": reading(folder, arguments.file_mb, arguments.rounds),
        }
    document = json.dumps({"schema": SCHEMA, "data": data}, indent=2)
    if arguments.out:
        arguments.out.write_text(document + "\n", encoding="utf-8")
    if arguments.json:
        print(document)
        return
    for row in data["training"]:
        spread = f"{row['ratio_min']} to {row['ratio_max']}"
        print(
            f"{row['backbone']:10} resident {row['resident_images_per_s']} images/s, streamed "
            f"{row['streamed_images_per_s']}: x {row['ratio']} ({spread})"
        )
    for row in data["reading"]:
        state = "in memory" if row["cached"] else "on disk"
        spread = f"{row['batch_us_min']} to {row['batch_us_max']}"
        print(f"{row['way']:22} file {state:9} {row['batch_us']:7} us a batch ({spread})")


if __name__ == "__main__":
    main()
