"""Check which backbones can be pruned, exported and quantized.

The script trains each backbone for one or two epochs, then runs each command in a separate process:
``oraclezoo prune --macs 0.5`` with one epoch of fine-tuning, ``export`` and ``quantize``. A step
works (with the figures of its receipt), is declared unsupported (with the reason), or fails (with
the message of the command). After so short a training, accuracies are meaningless: the table shows
support only.

    python benchmarks/studies/compressible.py [--track TRACK] [--data-dir FOLDER] [--only A,B]
        [--epochs 2] [--untimed] [--json] [--out FILE]

With ``--out``, the script writes each backbone as soon as it is done and skips those already in the
file, so you can interrupt and resume it. Output: benchmarks/measurements/compressible.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _shared import emit, machine, names, options, positive

SCHEMA = "oraclezoo/compressible/1"
STEPS = ("prune", "export", "quantize")
TIMEOUT_S = 1800

Row = dict[str, Any]


def command(*arguments: str | Path) -> tuple[int, dict[str, Any] | None, str]:
    """Run an oraclezoo command; return exit status, data and the last line of stderr."""
    call = [sys.executable, "-m", "oraclezoo", *map(str, arguments), "--json"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return 1, None, f"timed out after {TIMEOUT_S} s"
    messages = [line for line in done.stderr.splitlines() if line.startswith("oraclezoo: ")]
    reason = messages[-1].removeprefix("oraclezoo: ") if messages else done.stderr.strip()[-200:]
    data = json.loads(done.stdout)["data"] if done.returncode == 0 else None
    return done.returncode, data, reason


def outcome(status: int, data: dict[str, Any] | None, reason: str) -> Row:
    """Return the outcome of a step: works, declared (unsupported) or fails."""
    if data is None:
        declared = status == 2 and "is declared not" in reason
        return {"state": "declared" if declared else "fails", "reason": reason}
    receipt = data["receipt"]
    accuracy, speed = receipt["accuracy"], receipt["speedups"]
    return {
        "state": "works",
        "accuracy_before": receipt["before"]["accuracy"],
        "accuracy_after": receipt["after"]["accuracy"],
        "ci95": accuracy["ci95"],
        "macs": receipt["after"]["macs"] / receipt["before"]["macs"],
        "parameters": receipt["after"]["parameters"] / receipt["before"]["parameters"],
        "size_bytes": receipt["after"]["size_bytes"] / receipt["before"]["size_bytes"],
        "agreement": receipt["parity"]["agreement"],
        "largest_difference": receipt["parity"]["largest_difference"],
        "speedup": {
            f"{row['runtime']}, batch {row['batch_size']}, {row['threads']} threads": row["speedup"]
            for row in speed
        },
        "notes": receipt["notes"],
    }


def measure(backbone: str, arguments: Any) -> Row:
    """Train one backbone and run the steps."""
    start = time.monotonic()
    data = ["--data-dir", arguments.data_dir] if arguments.data_dir else []
    device = ["--device", arguments.device]
    with tempfile.TemporaryDirectory(prefix="compressible-") as folder:
        changes = {
            "backbone.name": backbone,
            "optimizer.name": "adamw",
            "budget.epochs": arguments.epochs,
            "budget.batch_size": 64,
            "data.refit": "false",
        }
        assigned = [f"--set={key}={value}" for key, value in changes.items()]
        where = ["--track", arguments.track, *data]
        _, document, reason = command("train", "quick", *assigned, *where, *device, "--out", folder)
        if document is None:
            return {"backbone": backbone, "state": "not trained", "reason": reason}
        run, times = document["folder"], ["--no-timed"] if arguments.untimed else ["--rounds", "1"]
        common = [*times, "--results", folder, *data]
        calls = {
            "prune": ["--macs", "0.5", "--epochs", "1", *device],
            "export": [],
            "quantize": [],
        }
        row = {"backbone": backbone, "state": "trained"}
        for step in STEPS:
            out = Path(folder) / step
            row[step] = outcome(*command(step, run, "--out", out, *calls[step], *common))
    return {**row, "took_s": round(time.monotonic() - start, 1)}


def listed() -> list[str]:
    """Return the built-in backbones."""
    from oraclezoo.zoo.backbones.specs import BACKBONES

    return [spec.name for spec in BACKBONES]


def main() -> None:
    """Measure the backbones that are not in the file yet, and print."""
    parser = options(__doc__)
    parser.add_argument("--track", default="glyphs-3k", help="data set for training")
    parser.add_argument("--data-dir", help="folder with its files")
    parser.add_argument("--only", type=names, help="comma-separated backbones")
    parser.add_argument(
        "--epochs", type=positive, default=2, help="epochs of training before the steps"
    )
    parser.add_argument("--untimed", action="store_true", help="skip timing, which is faster")
    arguments = parser.parse_args()
    chosen = arguments.only or listed()
    if arguments.quick:
        chosen, arguments.epochs = chosen[:1], 1
    rows: dict[str, Row] = {}
    if arguments.out and arguments.out.is_file():
        before = json.loads(arguments.out.read_text(encoding="utf-8"))["data"]
        if (before["track"], before["epochs"]) == (arguments.track, arguments.epochs):
            rows = {row["backbone"]: row for row in before["rows"]}
    as_json, arguments.json = arguments.json, False
    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or None
    with machine(arguments.device, threads) as about:
        for number, backbone in enumerate(chosen, 1):
            if backbone not in rows:
                rows[backbone] = measure(backbone, arguments)
            shown = {step: rows[backbone].get(step, {}).get("state", "-") for step in STEPS}
            print(f"{number}/{len(chosen)} {backbone}: {shown}", file=sys.stderr, flush=True)
            data = {**about, "track": arguments.track, "epochs": arguments.epochs}
            data["rows"] = [rows[name] for name in rows]
            emit(SCHEMA, data, arguments)
    arguments.json = as_json
    data = {**data, **about}
    if emit(SCHEMA, data, arguments):
        return
    for row in data["rows"]:
        states = [f"{step} {row.get(step, {}).get('state', '-')}" for step in STEPS]
        print(f"{row['backbone']:24} {row['state']:8} " + ", ".join(states))


if __name__ == "__main__":
    main()
