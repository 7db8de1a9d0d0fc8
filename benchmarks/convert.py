"""Measure the throughput of ``oraclezoo data convert`` by number of jobs.

The script generates scans in every listed format and mode, with 60 to 240 pixels per side, and
converts them from scratch with the actual command, including process start and writing. Each round
runs every number of jobs once, so that load on the machine affects all of them; the report has the
median. For comparison, it also measures ``prepare_files`` alone in one process.

    python benchmarks/convert.py [--files 4000] [--jobs 1,2] [--repeats 3] [--json] [--out FILE]

Output: benchmarks/measurements/convert.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from oraclezoo.data.scans.prepare import prepare_files

SCHEMA = "oraclezoo/convert-throughput/1"
SCRIPT = str(Path(sys.executable).with_name("oraclezoo"))
CLASSES = 10


def turned(image: Image.Image, path: Path) -> None:
    """Save rotated, with the corresponding EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def deep(image: Image.Image, path: Path) -> None:
    """Save with 16 bits per pixel."""
    Image.fromarray(np.asarray(image).astype(np.uint16) * 257).save(path)


def cut_out(image: Image.Image, path: Path) -> None:
    """Save as a dark character on a transparent background."""
    alpha = image.point(lambda value: 255 - value)
    Image.merge("LA", (Image.new("L", image.size, 20), alpha)).convert("RGBA").save(path)


WRITERS: dict[str, tuple[str, Callable[[Image.Image, Path], None]]] = {
    "BMP, gray": (".bmp", lambda image, path: image.save(path)),
    "BMP, 1 bit": (".bmp", lambda image, path: image.convert("1").save(path)),
    "PNG, gray": (".png", lambda image, path: image.save(path)),
    "PNG, palette": (".png", lambda image, path: image.convert("P").save(path)),
    "PNG, RGBA": (".png", cut_out),
    "PNG, 16 bits": (".png", deep),
    "JPEG, gray": (".jpg", lambda image, path: image.save(path)),
    "JPEG, RGB, EXIF-rotated": (".jpg", lambda image, path: turned(image.convert("RGB"), path)),
    "TIFF, gray": (".tif", lambda image, path: image.save(path)),
    "TIFF, 16 bits": (".tiff", deep),
    "WebP, RGB": (".webp", lambda image, path: image.convert("RGB").save(path)),
}


def scan(rng: np.random.Generator, label: int) -> Image.Image:
    """Draw dark strokes on noisy paper; the label determines the number of strokes."""
    width, height = (int(edge) for edge in rng.integers(60, 241, 2))
    paper = rng.normal(215, 8, (height, width)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(paper)
    draw = ImageDraw.Draw(image)
    for _ in range(label + 2):
        ends = [(int(x * width), int(y * height)) for x, y in rng.random((2, 2))]
        draw.line(ends, fill=int(rng.integers(10, 50)), width=max(2, min(width, height) // 16))
    return image


def make(folder: Path, count: int) -> None:
    """Write ``count`` scans to class folders, cycling through formats, half light on dark."""
    rng = np.random.default_rng(0)
    writers = list(WRITERS.values())
    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)
    for number in range(count):
        label = number % CLASSES
        image = scan(rng, label)
        if number // CLASSES % 2:
            image = image.point(lambda value: 255 - value)
        suffix, write = writers[number // CLASSES % len(writers)]
        write(image, folder / str(label) / f"{number}{suffix}")


def convert(source: Path, out: Path, jobs: int) -> float:
    """Return the wall time in s of one conversion from scratch."""
    shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    subprocess.run(
        [SCRIPT, "data", "convert", str(source), "--out", str(out), "--jobs", str(jobs)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def measure(count: int, jobs: list[int], repeats: int) -> dict[str, object]:
    """Return the data of the document."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place, "scans"), Path(place, "out")
        make(source, count)
        files = sorted(path for path in source.rglob("*") if path.is_file())
        size_bytes = sum(path.stat().st_size for path in files)
        times: dict[int, list[float]] = {each: [] for each in jobs}
        alone: list[float] = []
        for _ in range(repeats):
            start = time.perf_counter()
            done = prepare_files(28, [(path.name, path) for path in files])
            alone.append(time.perf_counter() - start)
            assert all(one.image is not None for one in done)
            for each in jobs:
                times[each].append(convert(source, out, each))
    rows = [
        {
            "jobs": each,
            "images_per_s": round(count / statistics.median(seconds)),
            "images_per_s_min": round(count / max(seconds)),
            "images_per_s_max": round(count / min(seconds)),
        }
        for each, seconds in times.items()
    ]
    return {
        "files": count,
        "mean_file_bytes": round(size_bytes / count),
        "formats": list(WRITERS),
        "pixels_a_side": [60, 240],
        "size": 28,
        "repeats": repeats,
        "prepare_alone_images_per_s": round(count / statistics.median(alone)),
        "rows": rows,
        "machine": {
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "python": platform.python_version(),
            "system": platform.system(),
            "load_average_before": None if load is None else round(load, 2),
        },
    }


def processor() -> str:
    """Return the processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=4000, help="number of scans")
    parser.add_argument("--jobs", default="1,2", help="comma-separated numbers of processes")
    parser.add_argument(
        "--repeats", type=int, default=3, help="conversions per number of processes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    parser.add_argument("--keep-scans", type=Path, help="only write the scans to this folder")
    arguments = parser.parse_args()
    if arguments.keep_scans:
        make(arguments.keep_scans, arguments.files)
        return
    jobs = [int(each) for each in arguments.jobs.split(",")]
    data = measure(arguments.files, jobs, arguments.repeats)
    document = json.dumps({"schema": SCHEMA, "data": data}, indent=2)
    if arguments.out:
        arguments.out.write_text(document + "\n", encoding="utf-8")
    if arguments.json:
        print(document)
        return
    print(f"{data['files']} scans of {data['mean_file_bytes']} bytes, 28 x 28 output; files/s")
    print(f"prepare alone   {data['prepare_alone_images_per_s']}")
    for row in data["rows"]:  # type: ignore[attr-defined]  # a list of dictionaries
        spread = f"{row['images_per_s_min']} to {row['images_per_s_max']}"
        print(f"command, {row['jobs']} jobs {row['images_per_s']} ({spread})")


if __name__ == "__main__":
    main()
