"""Measure the runtime of ``oraclezoo --help``, ``list`` and ``plugins`` with many plugins.

The script times each command as a process, alternating with the same command without plugins and
with the reference ``python -c "import click, rich, pluggy"``. It prints the medians, and their
ratios to the reference and to the command without plugins.

    python benchmarks/startup.py [--packages 100] [--repeats 20] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODULE = """
from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1"


@hookimpl
def oraclezoo_backbones():
    yield Spec(
        kind="backbone",
        name="net-{number}",
        target="zoo_plugin_{number}.net:Net",
        summary="synthetic backbone {number}",
        options=(Option("width", "float", 1.0, "multiplies the channels", low=0.25, high=8.0),),
        facts={{"prunable": True}},
    )
"""

SCRIPT = str(Path(sys.executable).with_name("oraclezoo"))

COMMANDS = {
    "reference": (sys.executable, "-c", "import click, rich, pluggy"),
    "--help": (SCRIPT, "--help"),
    "list": (SCRIPT, "list"),
    "plugins": (SCRIPT, "plugins"),
}


def install(site: Path, count: int) -> None:
    """Install ``count`` plugin packages as pip would."""
    for number in range(count):
        package = site / f"zoo_plugin_{number}"
        package.mkdir()
        (package / "__init__.py").write_text(MODULE.format(number=number))
        info = site / f"zoo_plugin_{number}-1.{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: zoo-plugin-{number}\nVersion: 1.{number}\n"
        )
        (info / "entry_points.txt").write_text(f"[oraclezoo]\nnet{number} = zoo_plugin_{number}\n")


def measure(site: Path, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Return wall times in ms by command, with and without plugins; the first round is dropped."""
    dropped = ("ORACLEZOO_", "PYTHONDONTWRITEBYTECODE")  # pip compiles what it installs
    without = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    without |= {"PYTHONPYCACHEPREFIX": str(site / "pycache")}
    environments = {"with": {**without, "PYTHONPATH": str(site)}, "without": without}
    times: dict[str, dict[str, list[float]]] = {
        name: {which: [] for which in environments} for name in COMMANDS
    }
    for repeat in range(repeats + 1):
        for name, arguments in COMMANDS.items():
            for which, environment in environments.items():
                start = time.perf_counter()
                subprocess.run(arguments, env=environment, check=True, stdout=subprocess.DEVNULL)
                if repeat:
                    times[name][which].append((time.perf_counter() - start) * 1000)
    return times


def main() -> None:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=int, default=100, help="number of plugin packages")
    parser.add_argument("--repeats", type=int, default=20, help="processes per command")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), arguments.packages)
        times = measure(Path(folder), arguments.repeats)
    medians = {
        name: {which: statistics.median(values) for which, values in both.items()}
        for name, both in times.items()
    }
    rows = [
        {
            "command": name,
            "median_ms": round(medians[name]["with"], 1),
            "min_ms": round(min(both["with"]), 1),
            "max_ms": round(max(both["with"]), 1),
            "ratio": round(medians[name]["with"] / medians["reference"]["with"], 2),
            "without_ms": round(medians[name]["without"], 1),
            "slower": round(medians[name]["with"] / medians[name]["without"], 2),
        }
        for name, both in times.items()
    ]
    if arguments.json:
        data = {"packages": arguments.packages, "repeats": arguments.repeats, "rows": rows}
        print(json.dumps({"schema": "oraclezoo/startup/2", "data": data}, indent=2))
        return
    print(f"{arguments.packages} plugin packages, median of {arguments.repeats} processes")
    for row in rows:
        spread = f"{row['min_ms']} to {row['max_ms']}"
        print(
            f"{row['command']:10} {row['median_ms']:8} ms ({spread})  {row['ratio']} x reference; "
            f"without the packages {row['without_ms']} ms: {row['slower']} x"
        )


if __name__ == "__main__":
    main()
