"""Draw the README's banner: the ten characters, from the project's own written forms.

The output is a small SVG, reproducible byte for byte; a test compares the committed file with it.

    python benchmarks/banner.py --write
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from page_assets import characters

from oraclezoo.ranking.page.text import element, safe

BANNER = Path(__file__).resolve().parents[1] / "docs" / "_static" / "banner.svg"
WIDTH, HEIGHT, SIDE, TOP = 1280, 240, 96, 46
GROUND, INK, QUIET = "#1b1a18", "#efe9dc", "#a39c8d"
STYLE = f"""
text {{ font: 15px system-ui, sans-serif; fill: {QUIET}; text-anchor: middle; }}
.modern {{ font-size: 19px; fill: {INK}; }}
.stroke {{ fill: none; stroke: {INK}; stroke-width: 8; stroke-linecap: round;
  stroke-linejoin: round; }}
"""
STONE = (
    '<filter id="stone" x="0" y="0" width="100%" height="100%">'
    '<feTurbulence type="fractalNoise" baseFrequency="0.7" numOctaves="3" seed="3"/>'
    '<feColorMatrix values="0 0 0 0 0.94  0 0 0 0 0.91  0 0 0 0 0.86  0 0 0 1.6 -0.95"/>'
    "</filter>"
    '<filter id="carved" x="-20%" y="-20%" width="140%" height="140%">'
    '<feTurbulence type="fractalNoise" baseFrequency="0.09" numOctaves="3" seed="8" result="n"/>'
    '<feDisplacementMap in="SourceGraphic" in2="n" scale="7" result="bent"/>'
    '<feTurbulence type="fractalNoise" baseFrequency="0.5" numOctaves="2" seed="5"/>'
    '<feColorMatrix values="0 0 0 0 0  0 0 0 0 0  0 0 0 0 0  0 0 0 -4 3.5" result="worn"/>'
    '<feComposite in="bent" in2="worn" operator="in"/>'
    "</filter>"
)
"""The look of a rubbing: grain on the ground, and strokes with uneven and worn edges."""


def banner() -> str:
    """Return the banner as SVG."""
    known = json.loads(characters())
    names = ", ".join(f"{each['glyph']} {each['meaning']}" for each in known)
    parts = [
        element("style", STYLE),
        f"<defs>{STONE}</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" fill="{GROUND}"/>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" filter="url(#stone)" opacity="0.35"/>',
    ]
    step = WIDTH / len(known)
    for place, each in enumerate(known):
        middle = round(step * (place + 0.5), 1)
        left = round(middle - SIDE * each["width"] / 200, 1)
        top = round(TOP + (SIDE - SIDE * each["height"] / 100) / 2, 1)
        drawn = element("path", "", class_="stroke", d=each["path"])
        place_and_size = f'transform="translate({left} {top}) scale({SIDE / 100:g})"'
        parts.append(f'<g {place_and_size} filter="url(#carved)">{drawn}</g>')
        parts.append(element("text", safe(each["glyph"]), class_="modern", x=middle, y=190))
        parts.append(element("text", safe(each["meaning"]), x=middle, y=214))
    return (
        element(
            "svg", "".join(parts), xmlns="http://www.w3.org/2000/svg", role="img",
            viewBox=f"0 0 {WIDTH} {HEIGHT}", width=WIDTH, height=HEIGHT,
            aria_label=f"Ten oracle bone characters: {names}",
        )
        + "\n"
    )  # fmt: skip


def main() -> None:
    """Print the banner, or write it to docs/_static/."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/_static/banner.svg")
    if parser.parse_args().write:
        BANNER.write_text(banner(), encoding="utf-8", newline="\n")
    else:
        print(banner())


if __name__ == "__main__":
    main()
