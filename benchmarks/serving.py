"""Benchmark of the server against BentoML and LitServe, under overload and SIGTERM, and of drift.

    python benchmarks/serving.py --data-dir FOLDER --bentoml PYTHON --litserve PYTHON [--json]
        [--out FILE] [--only SECTION,...] [--quick]

The rivals run in environments of their own, which this makes:

    python -m venv rival-bentoml && rival-bentoml/bin/pip install bentoml onnxruntime pillow
    python -m venv rival-litserve && rival-litserve/bin/pip install litserve onnxruntime pillow

and their interpreters are rival-bentoml/bin/python and rival-litserve/bin/python. All servers run
the same ONNX file with one thread and get the same picture, a 28 x 28 PNG, in the form that each
takes: ours the file itself and a form, BentoML a form, LitServe base64 in JSON. Ours finds the
character and reports its box as well; the rivals only decode the picture. wrk sends the load from
one core, the servers have another. Requests go over the loopback interface only.

Linux with two cores, wrk and taskset. Exit status 3 if a claim does not hold. Committed output:
benchmarks/measurements/serving.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from _measured import Figures, emit, load_average, names, positive
from _serving.drift import Pool, detection, false_alarms, shipped_alarms
from _serving.sections import (
    Rivals,
    Setup,
    cost_of_metrics,
    one_client,
    overload,
    terminations,
    throughput,
)
from PIL import Image

from oraclezoo.card import Card
from oraclezoo.data.glyphs.draw import generate
from oraclezoo.engine.device import pick
from oraclezoo.measure import hardware
from oraclezoo.serving.names import DEFAULT, locate

SCHEMA = "oraclezoo/serving/1"
RATE = 0.01
SECTIONS = ("rivals", "unpinned", "client", "overload", "sigterm", "metrics", "drift")


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def picture() -> bytes:
    """Return a generated character as a PNG file."""
    images, _ = generate([1] * 10, 1)
    buffer = BytesIO()
    Image.fromarray(images[0]).save(buffer, "PNG")
    return buffer.getvalue()


def measured(arguments: argparse.Namespace) -> Figures:
    """Run the chosen sections."""
    folder = locate(arguments.model)
    setup = Setup(
        arguments.model,
        folder / "model.onnx",
        picture(),
        arguments.rounds,
        arguments.seconds,
        say,
    )
    rivals = Rivals(arguments.bentoml, arguments.litserve)
    pool = Pool.of(folder, arguments.data_dir) if arguments.data_dir else None
    kinds = ["nothing", "metrics"]
    if Card.load(folder).baseline is not None:
        kinds.append("metrics and drift")

    def drift() -> Figures:
        assert pool is not None
        return {
            "false_alarms": false_alarms(pool, RATE, arguments.streams, 1000),
            "shipped": shipped_alarms(pool, RATE),
            "detection": detection(pool, RATE),
        }

    sections: dict[str, Callable[[], Figures]] = {
        "rivals": lambda: throughput(setup, rivals, pinned=True),
        "unpinned": lambda: throughput(
            replace(setup, rounds=min(3, setup.rounds)), rivals, pinned=False
        ),
        "client": lambda: one_client(setup),
        "overload": lambda: overload(setup),
        "sigterm": lambda: terminations(setup, arguments.terminations),
        "metrics": lambda: cost_of_metrics(setup, kinds),
        "drift": drift,
    }
    data: Figures = {
        **earlier(arguments.out),
        "model": arguments.model,
        "picture_bytes": len(setup.picture),
        "rounds": setup.rounds,
        "seconds": setup.seconds,
        "versions": {
            name: version(python, name)
            for name, python in (
                ("bentoml", rivals.bentoml),
                ("litserve", rivals.litserve),
                ("onnxruntime", Path(sys.executable)),
                ("uvicorn", Path(sys.executable)),
            )
            if python is not None
        },
    }
    for name in SECTIONS:
        if name in arguments.only:
            say(f"section {name}")
            before = load_average()
            data[name] = {
                "load_average_before": before,
                "niceness": os.nice(0),
                **sections[name](),
            }
    data["claims"] = list(claims(data))
    return data


def earlier(out: Path | None) -> Figures:
    """Return the sections in an existing output file."""
    if out is None or not out.is_file():
        return {}
    document = json.loads(out.read_text(encoding="utf-8"))["data"]
    return {name: document[name] for name in SECTIONS if name in document}


def version(python: Path, name: str) -> str:
    """Return the version of a distribution in an environment."""
    code = f"from importlib.metadata import version; print(version({name!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def claims(data: Figures) -> Iterator[Figures]:
    """Return what is claimed of the measured sections, and whether it holds."""
    for ratio in data.get("rivals", {}).get("ratios", ()):
        if ratio["server"] != "oraclezoo" or ratio["per_s"] is None or ratio["p99"] is None:
            continue
        bound = 3.0 if ratio["rival"].startswith("BentoML") else 1.0
        where = f"{ratio['rival']}, {ratio['connections']} connections"
        yield claim(f"requests a second by {where}", ratio["per_s"]["value"], bound, at_least=True)
        yield claim(f"p99 by {where}", ratio["p99"]["value"], 1.0)
    if "client" in data:
        added = data["client"]["added_ms"]["median"]
        yield claim("one client: p50 less the model's, ms", added, 1.5)
    if "overload" in data:
        over = data["overload"]
        others = sum(n for status, n in over["statuses"].items() if status not in ("200", "429"))
        yield claim("overload: requests neither served nor 429", others, 0)
        share = over["accepted_p99_ms"] / over["full_p99_ms"]
        yield claim("overload: p99 of accepted requests by that of a full queue", share, 2.0)
        growth = over["resident_mib"][-1] - over["resident_mib"][1]
        yield claim("overload: growth of memory after its first quarter, MiB", growth, 5.0)
        after, before = over["half_load_after"]["p50_ms"], over["half_load_before"]["p50_ms"]
        yield claim("overload: p50 at half load after it by before", after / before, 1.5)
    if "sigterm" in data:
        lost = data["sigterm"]["requests"]["lost"]
        yield claim("SIGTERM: accepted requests lost", lost, 0)
    if "drift" in data:
        drift = data["drift"]
        upper = drift["false_alarms"]["upper_95"]
        yield claim("drift: upper 95% limit of false alarms", upper, RATE + 0.015)
        missed = sum(row["orders"] - row["flagged"] for row in drift["detection"])
        yield claim("drift: corrupted streams not flagged within 200 images", missed, 0)


def claim(text: str, value: float, bound: float, *, at_least: bool = False) -> Figures:
    """Return a claim with whether it holds."""
    holds = value >= bound if at_least else value <= bound
    return {"claim": text, "value": round(value, 3), "bound": bound, "holds": holds}


def prioritize(nice: int) -> None:
    """Add to the niceness of this process, and set that of its session (Linux autogroups)."""
    os.nice(nice)
    group = Path("/proc/self/autogroup")
    if nice and group.is_file():
        group.write_text(str(nice), encoding="ascii")


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with the track's files, for drift")
    parser.add_argument("--bentoml", type=Path, help="Python with BentoML")
    parser.add_argument("--litserve", type=Path, help="Python with LitServe")
    parser.add_argument("--model", default=DEFAULT, help="name or folder of the model")
    parser.add_argument("--only", type=names, default=list(SECTIONS), help="sections, by comma")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement of wrk")
    parser.add_argument("--terminations", type=positive, default=100)
    parser.add_argument("--streams", type=positive, default=1000)
    parser.add_argument("--nice", type=int, default=0, help="raise (below 0) or lower the priority")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--out", type=Path, help="also write the document; keeps sections that are not measured"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(SECTIONS)
    if unknown:
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; known: {', '.join(SECTIONS)}")
    if "drift" in arguments.only and arguments.data_dir is None:
        parser.error("--data-dir FOLDER is needed for drift; or leave it out with --only")
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 1.0
        arguments.terminations, arguments.streams = 2, 20
    return arguments


def main() -> None:
    """Run the benchmark."""
    arguments = parsed()
    prioritize(arguments.nice)
    logging.getLogger("oraclezoo").setLevel(logging.ERROR)  # thousands of alarms on purpose
    data: dict[str, Any] = {
        "hardware": hardware.describe(pick("cpu")),
        "libraries": hardware.libraries(),
        **measured(arguments),
    }
    if not emit(SCHEMA, data, arguments):
        for row in data["claims"]:
            print(f"{'holds' if row['holds'] else 'MISSED'}: {row['claim']}: {row['value']}")
    sys.exit(0 if all(row["holds"] for row in data["claims"]) else 3)


if __name__ == "__main__":
    main()
