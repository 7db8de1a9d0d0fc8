"""What an audit costs, and how many planted copies its rule for near duplicates finds.

    $ python benchmarks/audit.py oracle-mnist-3k glyphs-3k glyphs --data-dir FOLDER

Each track is audited in a process of its own: seconds, seconds of all cores together, peak memory.
Then, in the first track, 300 images are copied with some change, and the copies are looked for.
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
from oraclezoo.data.audit import audit, near
from oraclezoo.data.audit.features import strokes
from oraclezoo.data.audit.neighbours import nearest
from oraclezoo.data.audit.records import Pool
from oraclezoo.plugins.registry import build_registry

COPIES = 300
Images = npt.NDArray[np.float64]


def moved(images: Images, down: float, right: float, turn: float = 0, scale: float = 1) -> Images:
    """Moved by pixels, turned by degrees about the middle and scaled; bilinear."""
    angle = np.radians(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    middle = (np.array(images.shape[1:]) - 1) / 2
    offset = middle - matrix @ (middle + np.array([down, right]))
    return np.stack([affine_transform(each, matrix, offset, order=1) for each in images])


def grain(images: Images, sigma: float) -> Images:
    """Normal noise of ``sigma`` gray levels, not on black."""
    noise = np.random.default_rng(0).normal(0, sigma, images.shape)
    return images + noise * (images > 0)


CHANGES: dict[str, Callable[[Images], Images]] = {
    "moved by a pixel each way": lambda x: moved(x, 1, 1),
    "moved by half a pixel each way": lambda x: moved(x, 0.5, 0.5),
    "mirrored": lambda x: x[:, :, ::-1],
    "grain of 12 gray levels": lambda x: grain(x, 12),
    "blurred by 0.6 pixels": lambda x: gaussian_filter(x, (0, 0.6, 0.6)),
    "contrast of 60%": lambda x: 0.6 * x + 20 * (x > 0),
    "4% larger": lambda x: moved(x, 0, 0, scale=1.04),
    "turned by 3 degrees": lambda x: moved(x, 0, 0, turn=3),
    "scanned again": lambda x: grain(moved(x, 0.4, 0.3, turn=1, scale=1.02), 8),
}
"""The last is a little of moving, turning, scaling and grain at once."""


def cost(track: str, data_dir: Path | None) -> dict[str, Any]:
    """Audit ``track`` here: seconds, peak memory of this process, findings of each kind."""
    dataset = build_registry().create("dataset", track, data_dir=data_dir)
    images = sum(len(dataset.split(name).labels) for name in ("train", "validation", "test"))
    start, start_cpu = time.perf_counter(), time.process_time()
    found = audit(dataset, [])
    return {
        "track": track,
        "images": images,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - start_cpu, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "near_duplicates": found.numbers["near-duplicate"],
        "least_ratio": found.summary["neighbours"]["least_ratio"],
    }


def planted(dataset: Dataset) -> list[dict[str, Any]]:
    """The share of copies that the rule finds, by change."""
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
        found = nearest(strokes(both.images), mirrored=dataset.flip_keeps_label)
        pairs = {
            tuple(both.at(place) for place in finding.places)
            for finding in near.near_duplicates(both, everything, found)
        }
        first_copy = len(pool.labels)
        hits = [(int(at), first_copy + copy) in pairs for copy, at in enumerate(chosen)]
        rows.append({"change": name, "found": round(float(np.mean(hits)), 3)})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tracks", nargs="+")
    parser.add_argument("--data-dir", type=Path, help="where the tracks' files are")
    parser.add_argument("--cost-only", action="store_true", help="audit here, print, no more")
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
        print(f"{100 * row['found']:5.1f}% of {COPIES} found: {row['change']}")


if __name__ == "__main__":
    main()
