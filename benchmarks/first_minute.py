"""Measure what the README shows: installation, its commands and their output.

``install`` installs this checkout with pip into a new environment and measures time and size. The
other steps run a command of the README in an empty folder, in order, and keep its output. The file
keeps the steps that are not measured again.

    python benchmarks/first_minute.py --out benchmarks/measurements/first-minute.json
    python benchmarks/first_minute.py --steps predict,train --out FILE
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _measured import Figures, emit, names

from oraclezoo import __version__
from oraclezoo.measure.hardware import cpu_name

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = "oraclezoo/first-minute/1"
COMMANDS = {
    "predict": "oraclezoo predict --demo",
    "leaderboard": "oraclezoo leaderboard --published --track oracle-mnist-3k --division open",
    "train": "oraclezoo train quick",
    "bench": "oraclezoo bench",
    "quantize": "oraclezoo quantize runs/quick-b8b75098b82f-s0 --out small",
}
"""The commands whose output the README shows, in the order in which they run."""
REPEATS = {"predict": 5}
"""Number of runs of a command, if more than one; the first reads the files from disk."""
STEPS = ("install", *COMMANDS)


def main() -> None:
    """Measure the chosen steps, and write them beside those measured before."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=names, default=list(STEPS), help="comma-separated")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.steps) - set(STEPS)
    if unknown:
        parser.error(f"unknown steps: {', '.join(sorted(unknown))}; known: {', '.join(STEPS)}")
    data: Figures = {}
    if arguments.out and arguments.out.is_file():
        data = json.loads(arguments.out.read_text(encoding="utf-8"))["data"]
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            if step in arguments.steps:
                data[step] = installed(folder) if step == "install" else ran(step, folder)
                print(f"{step}: {data[step]['seconds']} s", file=sys.stderr)
                emit(SCHEMA, data, argparse.Namespace(out=arguments.out, json=False))
    emit(SCHEMA, data, arguments)


def installed(folder: str) -> Figures:
    """Install this checkout into a new environment; return the time and the size on disk."""
    environment = Path(folder, "environment")
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    before, start = size(environment), time.perf_counter()
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    seconds = time.perf_counter() - start
    torch = "import torch; print(torch.__version__)"
    version = subprocess.run([str(python), "-c", torch], check=True, capture_output=True, text=True)
    return about(seconds) | {
        "bytes": size(environment) - before,
        "torch": version.stdout.strip(),
    }


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def ran(step: str, folder: str) -> Figures:
    """Run a command in ``folder``; return its shortest time and its standard output."""
    command = [sys.executable, "-m", *shlex.split(COMMANDS[step])]
    seconds = float("inf")
    for _ in range(REPEATS.get(step, 1)):
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
        seconds = min(seconds, time.perf_counter() - start)
    package = re.escape(str(Path(sys.modules["oraclezoo"].__file__ or "").parent))
    output = re.sub(rf"{package}[/\\]", ".../oraclezoo/", done.stdout)
    return about(seconds) | {"command": COMMANDS[step], "output": output.rstrip().split("\n")}


def about(seconds: float) -> dict[str, Any]:
    """Return a duration with the machine and the version that it was measured on."""
    return {
        "seconds": round(seconds, 1),
        "machine": f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()}",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "oraclezoo": __version__,
    }


if __name__ == "__main__":
    main()
