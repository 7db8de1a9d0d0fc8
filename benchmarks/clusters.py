"""Run a benchmark on clusters of two nodes, kill one of them half-way, and compare the results.

Four recipes with three seeds each, one epoch of 300 characters of the track glyphs-3k: first on
this machine without an executor, then with ``slurm`` and ``ray``, on private clusters of two nodes
on this machine. When a third of the jobs is done, one node is killed, its daemon and all its
processes. The results must be complete, and equal to those of this machine in each prediction.

    python benchmarks/clusters.py [--only slurm,ray] [--write]

Needs the packages under plugins/ and, for slurm, Debian's slurmctld, slurmd, slurm-client and
munge. Output: benchmarks/measurements/clusters.json.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "measurements" / "clusters.json"
SCHEMA = "oraclezoo/clusters/1"
RECIPES, SEEDS = ("quick", "authors-cnn", "tiny", "plain"), 3
IMAGES = {"train": 300, "test": 100}
JOBS = len(RECIPES) * SEEDS
LIMIT_S = 3600
EXECUTORS = ("slurm", "ray")


@dataclass(frozen=True)
class Place:
    """A cluster of two nodes.

    Attributes:
        options: Options of the executor.
        environment: Environment variables for processes that use the cluster.
        kill: Kills a node, without a word to the jobs.
        log: Log file in which the cluster notes each job that it starts again.
        mark: Text of such a line.
    """

    options: Mapping[str, object]
    environment: Mapping[str, str]
    kill: Callable[[], None]
    log: Path
    mark: str

    def restarted(self) -> int:
        """Return the number of jobs that the cluster started again after the loss of a node."""
        return self.log.read_text(errors="replace").count(self.mark)


@dataclass
class Watch:
    """What is seen of a benchmark's runs while it runs.

    Attributes:
        runs: Folder for runs.
        finished: State of the weights of each run when it was first seen done.
    """

    runs: Path
    finished: dict[str, str] = field(default_factory=dict)

    def look(self) -> int:
        """Look at all runs; return the number of finished ones."""
        for path in self.runs.glob("*/run.json"):
            if path.parent.name not in self.finished and _is_done(path):
                self.finished[path.parent.name] = self._digest(path)
        return len(self.finished)

    def changed(self) -> list[str]:
        """Return the runs whose weights changed after they were first seen done."""
        return [
            name
            for name, digest in self.finished.items()
            if self._digest(self.runs / name / "run.json") != digest
        ]

    def _digest(self, path: Path) -> str:
        weights = path.with_name("best.safetensors")
        return f"{weights.stat().st_mtime_ns} {hashlib.sha256(weights.read_bytes()).hexdigest()}"


def _is_done(path: Path) -> bool:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    # scoring comes last, and writes the record again
    return record["status"] == "done" and bool(record.get("score"))


def bench(folder: Path, executor: str | None, place: Place | None = None) -> dict[str, Any]:
    """Run the benchmark in a folder, and kill a node half-way if there are any."""
    options = [f"--executor-option={k}={v}" for k, v in (place.options if place else {}).items()]
    where = ["--accuracy-only", "--jobs", "1"] if executor is None else ["--on", executor, *options]
    settings = [
        "-s",
        "budget.epochs=1",
        "--track",
        "idx",
        "--data-dir",
        str(folder.parent / "data"),
    ]
    settings += ["--seeds", str(SEEDS), "--device", "cpu"]
    folders = ["--out", str(folder / "results"), "--runs", str(folder / "runs")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(place.environment if place else {})}
    started, watch, at_kill = time.monotonic(), Watch(folder / "runs"), None
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "oraclezoo", "bench", *RECIPES, *where, *settings, *folders],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            while process.poll() is None:
                done = watch.look()
                if place is not None and at_kill is None and done >= JOBS // 3:
                    at_kill = done
                    place.kill()
                if time.monotonic() - started > LIMIT_S:
                    raise TimeoutError(f"no end after {LIMIT_S} s: see {folder / 'log.txt'}")
                time.sleep(1.0)
        finally:
            process.terminate()
            process.wait()
    watch.look()
    if process.returncode:
        raise RuntimeError((folder / "log.txt").read_text()[-2000:])
    return {
        "done_at_kill": at_kill,
        "runs": len(watch.finished),
        "runs_changed_after_the_end": watch.changed(),
    }


def characters(folder: Path) -> None:
    """Write a few images of the track glyphs-3k as IDX files."""
    from oraclezoo.data.idx import write_idx
    from oraclezoo.plugins.registry import build_registry

    folder.mkdir(parents=True, exist_ok=True)
    dataset = build_registry().create("dataset", "glyphs-3k", data_dir=None)
    for (part, count), prefix in zip(IMAGES.items(), ("train", "t10k"), strict=True):
        split = dataset.split(part)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", split.images[:count])
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", split.labels[:count].astype("uint8"))


def results(folder: Path) -> dict[str, Any]:
    """Return accuracy and digest of the predictions for each recipe and seed."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "results").glob("*.json")):
        document = json.loads(path.read_bytes())
        if "seeds" not in document:
            continue
        predictions = path.with_suffix(".safetensors")
        found[document["recipe"]["name"]] = {
            "accuracies": [seed["accuracy"] for seed in document["seeds"]],
            "seeds": [seed["seed"] for seed in document["seeds"]],
            "predictions": hashlib.sha256(predictions.read_bytes()).hexdigest(),
        }
    return found


@contextmanager
def slurm(folder: Path) -> Iterator[Place]:
    """Start a private Slurm cluster; jobs run in groups of two."""
    cluster = module(ROOT / "plugins/oraclezoo-slurm/tests/cluster.py").Cluster(folder / "slurm")
    try:
        cluster.start()
        yield Place(
            {"group": 2, "poll": 1},
            {"SLURM_CONF": str(cluster.conf)},
            lambda: cluster.take_down(cluster.nodes[-1]),
            folder / "slurm" / "slurmctld.log",
            "due to failure of node",
        )
    finally:
        cluster.stop()


@contextmanager
def ray(folder: Path) -> Iterator[Place]:
    """Start a Ray cluster of two raylets, which share no folder with the submitting process."""
    nodes = module(ROOT / "plugins/oraclezoo-ray/tests/nodes.py").Nodes()
    try:
        options = {"address": nodes.address, "shared": "false"}
        yield Place(options, {}, nodes.kill_last, folder / "log.txt", "Task run_shipped failed")
    finally:
        nodes.stop()


def module(path: Path) -> ModuleType:
    """Import a file."""
    spec = importlib.util.spec_from_file_location(f"_cluster_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


PLACES = {"slurm": slurm, "ray": ray}


def measure(executor: str, folder: Path, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Run the benchmark on a cluster, and compare its results with those of this machine.

    Args:
        executor: ``slurm`` or ``ray``.
        folder: New folder.
        reference: Results of this machine.
    """
    folder.mkdir(parents=True)
    with PLACES[executor](folder) as place:
        figures = bench(folder, executor, place)
        figures["restarted"] = place.restarted()
    actual = results(folder)
    packages = ("oraclezoo-" + executor, {"slurm": "submitit", "ray": "ray"}[executor])
    return {
        **figures,
        "results": sum(len(row["seeds"]) for row in actual.values()),
        "accuracies_equal": {n: row["accuracies"] for n, row in actual.items()}
        == {n: row["accuracies"] for n, row in reference.items()},
        "predictions_equal": actual == reference,
        "versions": {name: metadata.version(name) for name in packages},
    }


def main() -> int:
    """Run all; return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(EXECUTORS), help="executors, with commas")
    parser.add_argument("--folder", type=Path, help="keep all files in this folder")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oraclezoo-clusters-") as name:
        root = arguments.folder or Path(name)
        local = root / "local"
        if not (local / "figures.json").exists():
            characters(root / "data")
            local.mkdir(parents=True, exist_ok=True)
            alone = bench(local, None)
            (local / "figures.json").write_text(json.dumps(alone))
        alone = json.loads((local / "figures.json").read_bytes())
        reference = results(local)
        rows = {}
        for executor in arguments.only.split(","):
            rows[executor] = measure(executor, root / executor, reference)
            print(json.dumps({executor: rows[executor]}), flush=True)
    data = {
        "recipes": RECIPES,
        "seeds": SEEDS,
        "images": IMAGES,
        "jobs": JOBS,
        "cores": os.cpu_count(),
        "local": alone,
        "executors": rows,
    }
    if arguments.write:
        OUT.write_text(json.dumps({"schema": SCHEMA, "data": data}, indent=2) + "\n")
    return 0 if all(_is_kept(row) for row in rows.values()) else 1


def _is_kept(row: Mapping[str, Any]) -> bool:
    return bool(
        row["results"] == row["runs"] == JOBS
        and row["predictions_equal"]
        and not row["runs_changed_after_the_end"]
    )


if __name__ == "__main__":
    sys.exit(main())
