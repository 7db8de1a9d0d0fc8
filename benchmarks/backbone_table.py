"""Collect parameters and accuracy of the backbones from the published results, for ``list``.

The command line shows them beside each backbone, without reading the results themselves. The row of
a backbone is that of suite ``backbones`` on real images if it is published, and otherwise that on
generated ones.

    python benchmarks/backbone_table.py [--write]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TARGET = ROOT / "src" / "oraclezoo" / "zoo" / "backbones" / "published.json"
TRACKS = ("oracle-mnist-3k", "glyphs-3k")
"""Tracks, the preferred one first."""


def collect() -> str:
    """Return the content of ``published.json``."""
    rows: dict[str, dict[str, object]] = {}
    for track in reversed(TRACKS):
        for path in sorted(RESULTS.glob(f"{track}-backbones-*.json")):
            result = json.loads(path.read_text(encoding="utf-8"))
            backbone = result["recipe"]["content"]["backbone"]["name"].removeprefix("oraclezoo:")
            accuracies = [seed["accuracy"] for seed in result["seeds"]]
            rows[backbone] = {
                "track": track,
                "accuracy": round(statistics.fmean(accuracies), 4),
                "seeds": len(accuracies),
                "parameters": result["model"]["parameters"],
            }
    return json.dumps(dict(sorted(rows.items())), indent=1) + "\n"


def main() -> int:
    """Write the file, or exit with status 1 if it is not current."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the file")
    if parser.parse_args().write:
        TARGET.write_text(collect(), encoding="utf-8")
        return 0
    return int(TARGET.read_text(encoding="utf-8") != collect())


if __name__ == "__main__":
    sys.exit(main())
