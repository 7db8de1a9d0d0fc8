"""Links of the documentation: one that leads nowhere is found, those elsewhere are left alone."""

from __future__ import annotations

import runpy
from pathlib import Path

EXTENSION = Path(__file__).resolve().parents[1] / "docs" / "_ext" / "links.py"
PAGE = """
<a href="deep/other.html">fine</a> <a href="deep/other.html#place">fine</a>
<a href="deep/">fine: its index</a> <a href="https://example.org/nowhere">elsewhere</a>
<a href="mailto:a@example.org">elsewhere</a> <a href="#here">fine</a> <a id="here"></a>
<img src="a%20picture.png"> <a href="deep/other.html?x=1#place">fine</a>
<a href="gone.html">1</a> <a href="deep/other.html#gone">2</a> <a href="#gone">3</a>
<img src="gone.png"> <a href="../outside.html">5</a>
"""


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    """Missing files, places within pages, and what lies outside the site; nothing else."""
    site = tmp_path / "site"
    (site / "deep").mkdir(parents=True)
    (site / "index.html").write_text(PAGE)
    (site / "deep" / "other.html").write_text('<p id="place"></p><a href="../index.html">up</a>')
    (site / "deep" / "index.html").write_text("")
    (site / "a picture.png").write_bytes(b"")
    (tmp_path / "outside.html").write_text("")
    actual = runpy.run_path(str(EXTENSION))["broken"](site)
    assert [line.removeprefix("index.html: ") for line in actual] == [
        "gone.html", "deep/other.html#gone", "#gone", "gone.png", "../outside.html",
    ]  # fmt: skip
