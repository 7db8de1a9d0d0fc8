"""Measure runtime and memory of an audit, and its detection rate for planted near-duplicates.

    $ python benchmarks/audit.py oracle-mnist-3k glyphs-3k glyphs --data-dir FOLDER

The script audits each track in a separate process and reports wall time, CPU time and peak memory.
Then it copies 300 images of the first track with one change each, and counts the detected copies.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform, gaussian_filter

from oraclezoo.contracts import Dataset
from oraclezoo.data.audit import audit
from oraclezoo.data.audit.duplicates import near_duplicates
from oraclezoo.data.audit.neighbors import band_passed, nearest
from oraclezoo.data.audit.report import Pool
from oraclezoo.plugins.registry import build_registry

COPIES = 300
Images = npt.NDArray[np.float64]


def moved(images: Images, down: float, right: float, turn: float = 0, scale: float = 1) -> Images:
    """Shift by pixels, rotate by degrees about the center and scale, with bilinear sampling."""
    angle = np.radians(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    middle = (np.array(images.shape[1:]) - 1) / 2
    offset = middle - matrix @ (middle + np.array([down, right]))
    return np.stack([affine_transform(each, matrix, offset, order=1) for each in images])


def grain(images: Images, sigma: float) -> Images:
    """Add Gaussian noise of ``sigma`` gray levels to all pixels that are not black."""
    noise = np.random.default_rng(0).normal(0, sigma, images.shape)
    return images + noise * (images > 0)


CHANGES: dict[str, Callable[[Images], Images]] = {
    "shifted by one pixel in both directions": lambda x: moved(x, 1, 1),
    "shifted by half a pixel in both directions": lambda x: moved(x, 0.5, 0.5),
    "mirrored": lambda x: x[:, :, ::-1],
    "noise of 12 gray levels": lambda x: grain(x, 12),
    "blurred by 0.6 pixels": lambda x: gaussian_filter(x, (0, 0.6, 0.6)),
    "contrast reduced to 60%": lambda x: 0.6 * x + 20 * (x > 0),
    "enlarged by 4%": lambda x: moved(x, 0, 0, scale=1.04),
    "rotated by 3 degrees": lambda x: moved(x, 0, 0, turn=3),
    "rescanned (slight shift, rotation, scaling and noise)": lambda x: grain(
        moved(x, 0.4, 0.3, turn=1, scale=1.02), 8
    ),
}
"""Changes that an audit should recognize as near-duplicates."""


def cost(track: str, data_dir: Path | None) -> dict[str, Any]:
    """Audit ``track`` in this process: time, peak memory and findings of each kind."""
    dataset = build_registry().create("dataset", track, data_dir=data_dir)
    images = sum(len(dataset.split(name).labels) for name in ("train", "validation", "test"))
    start, start_cpu = time.perf_counter(), time.process_time()
    report = audit(dataset, [])
    neighbors = report.summary.neighbors if report.summary else None
    return {
        "track": track,
        "images": images,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - start_cpu, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "near_duplicates": report.numbers["near-duplicate"],
        "least_ratio": neighbors.least_ratio if neighbors else None,
    }


def planted(dataset: Dataset) -> list[dict[str, Any]]:
    """Return the detection rate of copies by change."""
    pool = Pool.of(dataset)
    chosen = np.random.default_rng(0).choice(len(pool.labels), COPIES, replace=False)
    rows = []
    for name, change in CHANGES.items():
        copies = np.clip(change(pool.images[chosen].astype(float)), 0, 255).astype(np.uint8)
        both = Pool(
            np.concatenate([pool.images, copies]),
            np.concatenate([pool.labels, pool.labels[chosen]]),
            np.concatenate([pool.splits, np.full(COPIES, 2)]),
            pool.num_classes,
        )
        everything = np.arange(len(both.labels))
        neighbors = nearest(band_passed(both.images), mirrored=dataset.flip_keeps_label)
        pairs = {
            tuple(both.at(place) for place in finding.places)
            for finding in near_duplicates(both, everything, neighbors)
        }
        first_copy = len(pool.labels)
        hits = [(int(at), first_copy + copy) in pairs for copy, at in enumerate(chosen)]
        rows.append({"change": name, "found": round(float(np.mean(hits)), 3)})
    return rows


def main() -> None:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tracks", nargs="+")
    parser.add_argument("--data-dir", type=Path, help="folder with the tracks' files")
    parser.add_argument(
        "--cost-only", action="store_true", help="only audit the first track in this process"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    if arguments.cost_only:
        print(json.dumps(cost(arguments.tracks[0], arguments.data_dir)))
        return
    rows = []
    for track in arguments.tracks:
        command = [sys.executable, __file__, track, "--cost-only"]
        command += ["--data-dir", str(arguments.data_dir)] if arguments.data_dir else []
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout))
    first = build_registry().create("dataset", arguments.tracks[0], data_dir=arguments.data_dir)
    data = {
        "cores": len(os.sched_getaffinity(0)),
        "cost": rows,
        "planted_in": arguments.tracks[0],
        "copies": COPIES,
        "planted": planted(first),
    }
    if arguments.json:
        print(json.dumps({"schema": "oraclezoo/audit-cost/1", "data": data}, indent=2))
        return
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    for row in data["planted"]:
        print(f"{100 * row['found']:5.1f}% of {COPIES} detected: {row['change']}")


if __name__ == "__main__":
    main()
