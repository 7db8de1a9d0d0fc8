"""Print the README's table from the committed results; ``--write`` puts it into the README."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from oraclezoo.leaderboard.load import load_results
from oraclezoo.leaderboard.table import tables

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLACE = re.compile(r"(<!-- table:begin [^\n]*-->\n).*?(<!-- table:end -->)", re.DOTALL)


def table() -> str:
    """Each division of the real low-data track as Markdown, with a short caption below."""
    made = tables(load_results([RESULTS]), track="oracle-mnist-3k")
    parts = []
    for each in sorted(made, key=lambda one: one.division):
        title, rows, _ = each.to_markdown().split("\n\n", 2)
        parts += [title, rows]
    classes = ", ".join(sorted({row.hardware_class for each in made for row in each.rows}))
    parts.append(
        f"Mean accuracy on {made[0].test:,} test images, [95% interval], SD over seeds; trained on "
        f"hardware of class {classes}. How intervals, ranks and ties come about: "
        "[the protocol](docs/protocol.md)."
    )
    return "\n\n".join(parts) + "\n"


def fill(text: str) -> str:
    """``text`` with the table between its two marks."""
    filled, places = PLACE.subn(lambda found: f"{found[1]}\n{table()}\n{found[2]}", text)
    if places != 1:
        raise SystemExit("README.md must hold the marks of the table once")
    return filled


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    readme = ROOT / "README.md"
    if parser.parse_args().write:
        readme.write_text(fill(readme.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())


if __name__ == "__main__":
    main()
