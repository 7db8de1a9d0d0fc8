"""The figure of a compression search: complete and reproducible."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from oraclezoo.data.lettering import FONT
from oraclezoo.plots.pareto import Field, Panel, Spot, pareto
from oraclezoo.plots.style import Letters, drawing

SPOTS = [
    Spot("100%", False, 92.0, 92.0, 92.0, False, False),
    Spot("100%", True, 91.5, 90.5, 92.5, True, True),
    Spot("50%", True, 89.0, 87.0, 91.0, False, False),
]
PANELS = [
    Panel("time (%)", [100, 60, 40], [True, True, True], 65),
    Panel("bytes (%)", [100, 30, 20], [True, True, True], None),
]
FIELD = Field("net compressed", "40 validation images", SPOTS, PANELS, gate=91.0)


def draw(field: Field, folder: Path) -> bytes:
    folder.mkdir()
    with drawing(Letters(FONT, [])):
        files = pareto(field, folder)
    assert [path.name for path in files] == ["pareto.svg", "pareto.png"]
    return files[0].read_bytes() + files[1].read_bytes()


def test_equal_candidates_give_equal_files(tmp_path: Path) -> None:
    """Files are byte-equal; other candidates give other files."""
    first, again = draw(FIELD, tmp_path / "a"), draw(FIELD, tmp_path / "b")
    assert first == again
    other = dataclasses.replace(FIELD, gate=None)
    assert draw(other, tmp_path / "c") != first
