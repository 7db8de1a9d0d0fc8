"""Moved pages of the documentation stay reachable at their former addresses."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
SCRIPT = runpy.run_path(str(DOCS / "_ext" / "redirects.py"))
PAGES = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")}


def build(folder: Path, pages: set[str]) -> Any:
    return SimpleNamespace(
        builder=SimpleNamespace(name="html"),
        env=SimpleNamespace(found_docs=pages),
        outdir=folder,
    )


def test_each_moved_page_leads_to_one_that_exists() -> None:
    """So do the generated pages of components, of which this checkout may have none yet."""
    table = SCRIPT["moved"](PAGES | {"reference/zoo/backbones/lenet5"})
    assert table["predict"] == "how-to/use/predict"
    assert table["zoo/backbones/lenet5"] == "reference/zoo/backbones/lenet5"
    assert "leaderboard" not in table


def test_a_redirect_without_a_page_fails_the_build() -> None:
    """A page that moves again takes its redirect along."""
    with pytest.raises(KeyError, match="how-to/use/predict"):
        SCRIPT["moved"](PAGES - {"how-to/use/predict"})


def test_redirects_are_relative_and_keep_the_fragment(tmp_path: Path) -> None:
    """They work in any folder of a site, with and without JavaScript."""
    SCRIPT["write_redirects"](build(tmp_path, PAGES | {"reference/zoo/optimizers/muon"}), None)
    page = (tmp_path / "zoo" / "optimizers" / "muon.html").read_text(encoding="utf-8")
    assert 'href="../../reference/zoo/optimizers/muon.html"' in page
    assert 'content="0; url=../../reference/zoo/optimizers/muon.html"' in page
    assert "+ location.hash" in page
    assert not (tmp_path / "index.html").exists()
