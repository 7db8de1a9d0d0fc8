"""Draw the README's figure and the social preview from the committed results.

The output is reproducible: SVG byte for byte, PNG for a given version of Pillow. ``--write``
puts the files into docs/_static/, where a test compares them with the results.

    python benchmarks/figure.py --write
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from oraclezoo.data.foreign.pen import stroked
from oraclezoo.data.glyphs.forms import ORACLE, arranged
from oraclezoo.data.glyphs.written import read
from oraclezoo.ranking.load import load_results
from oraclezoo.ranking.page import chart
from oraclezoo.ranking.page.bars import spaced
from oraclezoo.ranking.page.text import element, safe
from oraclezoo.ranking.pareto import points
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.table import Table, tables

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "docs" / "_static"
FIGURE, PREVIEW = STATIC / "accuracy-latency.svg", STATIC / "social-preview.png"
TRACK = "oracle-mnist-3k"
SIZE = 1280, 640
GROUND, INK, QUIET, ACCENT = (19, 20, 22), (242, 238, 228), (150, 150, 156), (232, 130, 84)
SHOWN = 8
STYLE = """
svg { --ink: #1f2328; --quiet: #59636e; --faint: #d1d9e0; --ground: #ffffff;
  font: 12px system-ui, sans-serif; fill: var(--quiet); }
@media (prefers-color-scheme: dark) {
  svg { --ink: #f0f6fc; --quiet: #9198a1; --faint: #3d444d; --ground: #0d1117; } }
.oz-group0 { --g: #2f6fde; } .oz-group1 { --g: #d1603d; } .oz-group2 { --g: #23916c; }
.oz-group3 { --g: #8d5bd0; } .oz-group4 { --g: #a8841c; } .oz-group5 { --g: #c2437f; }
.oz-grid { stroke: var(--faint); } .oz-line { stroke: var(--g); stroke-dasharray: 4 3; }
.oz-point { stroke: var(--g); } .oz-point text { stroke: none; fill: var(--ink); }
.oz-front { fill: var(--g); } .oz-open, .oz-beaten { fill: var(--ground); }
.oz-beaten { opacity: 0.4; } .title { fill: var(--ink); font-weight: 600; }
"""


def figure(boards: Sequence[Table]) -> str:
    """Return the SVG of accuracy against latency on the low-data track, for both divisions."""
    plotted = [
        replace(point, group=f"{table.division} division; {point.group}")
        for table in boards
        for point in points(table.rows, "latency_ms")
    ]
    svg = chart.scatter(plotted, "latency_ms", images=boards[0].test, names=True)
    keys = chart.legend(plotted)
    height = chart.HEIGHT + 30 + 20 * len(keys)
    title = element("text", safe(f"{TRACK}: accuracy and latency"), class_="title", x=12, y=18)
    parts = [element("style", STYLE), title]
    parts.append(_placed(svg, 0, 24, chart.WIDTH, chart.HEIGHT))
    for index, (symbol, group) in enumerate(keys):
        y = chart.HEIGHT + 30 + 20 * index
        parts.append(_placed(symbol, chart.LEFT, y, 14, 14))
        parts.append(element("text", safe(group), x=chart.LEFT + 20, y=y + 11))
    return (
        element(
            "svg", "".join(parts), xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {chart.WIDTH} {height}", width=chart.WIDTH, height=height, role="img",
            aria_label=f"{TRACK}: accuracy and latency",
        )
        + "\n"
    )  # fmt: skip


def preview(boards: Sequence[Table]) -> tuple[Image.Image, str]:
    """Return the social preview image, and its figures as JSON."""
    rows = [row for table in boards if table.division == "closed" for row in table.rows]
    rows = [row for row in rows if row.ci95_low_percent is not None][:SHOWN]
    picture = Image.new("RGB", SIZE, GROUND)
    draw = ImageDraw.Draw(picture)
    _characters(picture)
    _say(draw, (64, 226), "oraclezoo", 92, INK)
    _say(draw, (68, 352), "Reading oracle bone characters:", 30, INK)
    _say(draw, (68, 394), "trained models, a zoo of components,", 30, INK)
    _say(draw, (68, 436), "and a leaderboard that reports ties", 30, INK)
    _say(draw, (1216, 584), f"{TRACK}, closed division: mean and 95% interval", 18, QUIET, "ra")
    _dots(draw, rows)
    return picture, figures(rows)


def figures(rows: Sequence[Row]) -> str:
    """Return the figures shown in an image, for comparison with the results."""
    shown = [
        (row.label, f"{row.accuracy_percent:.2f}", f"{row.ci95_low_percent:.2f}",
         f"{row.ci95_high_percent:.2f}")
        for row in rows
    ]  # fmt: skip
    return json.dumps(shown)


def results() -> list[Table]:
    """Return the tables of the low-data track."""
    return tables(load_results([ROOT / "benchmarks" / "results"]), track=TRACK)


def _placed(svg: str, x: float, y: float, width: float, height: float) -> str:
    place = f'<svg x="{x}" y="{y}" width="{width}" height="{height}"'
    bare = svg.replace(f' width="{width}" height="{height}"', "", 1)
    return bare.replace("<svg", place, 1)


def _characters(picture: Image.Image) -> None:
    """Draw the ten characters along the upper edge, each in its first written form."""
    known = arranged(read(ORACLE))
    step, side = SIZE[0] // known.classes, 92
    for label in range(known.classes):
        form = int(np.flatnonzero(known.label == label)[0])
        controls = known.control[form][known.neighbor[form]]
        points = (controls * known.weight[form][..., None]).sum(axis=1)
        aspect = float(known.aspect[form])
        extent = np.array([min(aspect, 1.0), min(1 / aspect, 1.0)]) * side
        placed = points * extent + (step - extent) / 2
        strokes = [placed[known.stroke[form] == number] for number in np.unique(known.stroke[form])]
        glyph = ImageOps.invert(Image.fromarray(stroked(strokes, 7, (step, step), times=4)))
        ink = Image.new("RGB", (step, step), INK)
        picture.paste(ink, (label * step, 40), glyph)


def _dots(draw: ImageDraw.ImageDraw, rows: Sequence[Row]) -> None:
    """Draw each row's name, interval and mean on a logarithmic error scale."""
    left, right, step = 960, 1216, 44
    top = 375 - step * (len(rows) - 1) // 2  # about the vertical center of the text
    bounds = [v for r in rows for v in (r.ci95_low_percent or 0.0, r.ci95_high_percent or 100.0)]
    low, high = spaced(min(bounds), 0.05), spaced(max(bounds), 0.05)

    def across(value: float | None) -> float:
        return left + (right - left) * (spaced(value or 0.0, 0.05) - low) / (high - low)

    for position, row in enumerate(rows):
        y = top + step * position
        name = row.label if len(row.label) <= 20 else row.label[:19] + "…"
        _say(draw, (left - 96, y), name, 20, INK, "rm")
        _say(draw, (left - 16, y), f"{row.accuracy_percent:.1f}%", 20, QUIET, "rm")
        draw.line((left, y, right, y), fill=(52, 54, 60))
        ends_of = (across(row.ci95_low_percent), y - 5, across(row.ci95_high_percent), y + 5)
        draw.rectangle(ends_of, fill=(120, 72, 50))
        mean = across(row.accuracy_percent)
        draw.line((mean, y - 9, mean, y + 9), fill=ACCENT, width=3)


def _say(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    color: tuple[int, int, int],
    anchor: str = "la",
) -> None:
    draw.text(place, text, font=ImageFont.load_default(size), fill=color, anchor=anchor)


def main() -> None:
    """Draw the files, or list what would be drawn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"into {STATIC.relative_to(ROOT)}")
    write = parser.parse_args().write
    boards = results()
    picture, text = preview(boards)
    if write:
        FIGURE.write_text(figure(boards), encoding="utf-8", newline="\n")
        metadata = PngImagePlugin.PngInfo()
        metadata.add_text("figures", text)
        picture.save(PREVIEW, optimize=True, pnginfo=metadata)
    print(*(" ".join(row) for row in json.loads(text)), sep="\n")


if __name__ == "__main__":
    main()
