"""The README's figure and the social preview show the committed results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

AGAIN = "python benchmarks/figure.py --write draws it again"
Script = Callable[[str], ModuleType]


@pytest.fixture
def figure(script: Script) -> Any:
    """Return the script as a module."""
    return script("figure")


def test_the_figure_is_that_of_the_committed_results(figure: Any) -> None:
    """The committed file is byte-equal."""
    assert figure.FIGURE.read_text(encoding="utf-8") == figure.figure(figure.results()), AGAIN


def test_the_figure_stands_alone(figure: Any) -> None:
    """It is well-formed and has no external references."""
    text = figure.FIGURE.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "href" not in text
    assert "url(" not in text


def test_the_preview_shows_the_committed_results(figure: Any) -> None:
    """The file's metadata has the figures, and it has the size that sites expect."""
    result, shown = figure.preview(figure.results())
    with Image.open(figure.PREVIEW) as kept:
        assert kept.size == result.size == (1280, 640)
        assert kept.info["figures"] == shown, AGAIN
    assert Path(figure.PREVIEW).stat().st_size < 1_000_000
