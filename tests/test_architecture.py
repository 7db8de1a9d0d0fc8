"""The architecture page names the packages that exist."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import oraclezoo

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(oraclezoo.__file__).parent
DIAGRAMS = runpy.run_path(str(ROOT / "docs" / "_ext" / "architecture_page.py"))
SHOWN = [name for layer in DIAGRAMS["LAYERS"] for name in layer]
DATA_FOLDERS = {"models"}
"""Folders that have no code."""


def test_the_diagram_shows_every_package_once() -> None:
    """A new, moved or removed package must be changed in the diagram too."""
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    modules = {path.stem for path in SOURCE.glob("*.py") if not path.stem.startswith("_")}
    assert len(SHOWN) == len(set(SHOWN))
    assert set(SHOWN) == (packages | modules) - DATA_FOLDERS


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_describes_every_package(name: str) -> None:
    """The table below the diagram has each name in its first column."""
    page = (ROOT / "docs" / "internals" / "architecture.md").read_text(encoding="utf-8")
    named = {each for row in re.findall(r"^\| (`.*?) \|", page, re.M) for each in row.split(", ")}
    assert f"`{name}`" in named


@pytest.mark.parametrize(
    "name", ["architecture_layers", "architecture_benchmark", "architecture_prediction"]
)
def test_a_diagram_is_self_contained(name: str) -> None:
    """It refers to nothing outside the page, and its colors follow the theme."""
    svg = DIAGRAMS[name]()
    assert "<svg " in svg
    assert not re.search(r"(href|src)=", svg)
    assert set(re.findall(r"(?:fill|stroke)=\"([^\"]+)\"", svg)) == {"currentColor"}
    assert all(float(x) >= 0 for x in re.findall(r"\bx=\"([^\"]+)\"", svg))
