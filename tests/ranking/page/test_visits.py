"""The leaderboard of the committed results in a headless Chromium, as visitors use it.

Needs the npm packages of ``nox -s page``; ``test_browser.py`` covers the basics without them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from oraclezoo.ranking.load import load_results
from oraclezoo.ranking.table import tables

SCRIPT = Path(__file__).with_name("visit.mjs")
RESULTS = Path(__file__).resolve().parents[3] / "benchmarks" / "results"
FIVE = ["rank", "recipe", "accuracy", "latency", "size"]
EXTRA = ["number", "ties", "spread", "training", "parameters", "macs", "ece", "corrupted"]
EXTRA += ["hardware"]
FALLING = ("accuracy", "corrupted")
"""Columns whose largest value is the best."""

Visit = Callable[..., Any]


class Quiet(SimpleHTTPRequestHandler):
    """A plain file server, as any host of static pages."""

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def site(chromium: str, modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build a site with the leaderboard and pages of two components; return its address."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "source"
    (source / "zoo" / "backbones").mkdir(parents=True)
    (source / "conf.py").write_text("extensions = ['oraclezoo.sphinxext']\nhtml_theme = 'furo'\n")
    (source / "results").symlink_to(RESULTS)
    board = ".. oraclezoo-leaderboard:: results\n   :components: /zoo\n"
    (source / "index.rst").write_text(f"Leaderboard\n===========\n\n{board}")
    for name in ("oraclenet_s", "oraclenet_n"):
        page = f":orphan:\n\n{name}\n{'=' * len(name)}\n"
        (source / "zoo" / "backbones" / f"{name}.rst").write_text(page)
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "-q", "-b", "html"]
    subprocess.run([*command, str(source), str(folder / "html")], check=True)
    handler = partial(Quiet, directory=str(folder / "html"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def visit(node: str, modules: Path, chromium: str, site: str) -> Visit:
    """Return a function that runs scenarios of visit.mjs and checks what holds for all."""

    def run(*scenarios: str) -> Any:
        done = subprocess.run(
            [node, str(SCRIPT), site, str(modules), chromium, *scenarios],
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)
        assert outcome["foreign"] == [], "no request leaves the site"
        assert outcome["errors"] == []
        return outcome["seen"]

    return run


def values(seen: Any, key: str) -> list[Any]:
    """Return the values of a column, numbers where they are."""
    texts = seen["values"][key]
    if key in ("recipe", "hardware"):
        return texts
    return [None if text is None else float(text) for text in texts]


def natural(name: str) -> list[tuple[bool, int, str]]:
    """Return a sort key that orders numbers in names by value, as the page does."""
    parts = re.findall(r"\d+|\D", name.lower())
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


@pytest.mark.slow
def test_the_first_press_on_a_heading_puts_the_best_first(visit: Visit) -> None:
    """The second press reverses the order; missing values are last; the address says it."""
    for key, seen in visit("sorts")["sorts"].items():
        for turn, best in (("first", True), ("second", False)):
            present = [value for value in values(seen[turn], key) if value is not None]
            if key == "recipe":
                present = [natural(name) for name in present]
            assert present == sorted(present, reverse=(key in FALLING) == best), (key, turn)
            assert values(seen[turn], key)[: len(present)].count(None) == 0
            falls = (key in FALLING) == best
            assert seen[turn]["sorted"] == [key, "descending" if falls else "ascending"]
            sort = "" if key == "accuracy" and best else f"sort={'' if best else '-'}{key}"
            assert sort in seen[turn]["search"]
            assert len(seen[turn]["rows"]) == 42


@pytest.mark.slow
def test_filters_and_plots_show_the_same_rows(visit: Visit) -> None:
    """Each choice shows exactly the rows with its value, in the table and in each plot."""
    seen = visit("filters")["filters"]
    everything = seen["all"]
    assert everything["columns"] == [*FIVE, "command"]
    assert everything["status"] == "42 rows"
    assert everything["search"] == ""
    assert {choice.split("=")[0] for choice in seen["chosen"]} == {
        "family", "optimizer", "scheduler", "compression", "hardware",
    }  # fmt: skip
    for choice, shown in seen["chosen"].items():
        name, value = choice.split("=")
        expected = {row["row"] for row in everything["facets"] if row[name] == value}
        assert {row["row"] for row in shown["facets"]} == expected
        assert f"{name}=" in shown["search"]
        assert shown["status"] == f"{len(expected)} of 42 rows; ranks are among all"
        for points in shown["points"]:
            assert set(points) == expected
    words = seen["words"]
    assert len(words["rows"]) == 2
    assert {row["compression"] for row in words["facets"]} == {"int8"}
    assert seen["none"]["rows"] == []
    assert seen["nothing"]
    assert seen["cleared"]["rows"] == everything["rows"]
    assert seen["cleared"]["search"] == ""


@pytest.mark.slow
def test_the_address_restores_what_a_visitor_chose(visit: Visit) -> None:
    """After a reload and with the history; unknown names in it are ignored."""
    seen = visit("address")["address"]
    before = seen["before"]
    assert before["table"] == "glyphs-3k-closed"
    assert before["sorted"] == ["latency", "ascending"]
    assert "macs" in before["columns"]
    assert 0 < len(before["rows"]) < 42
    assert seen["after"] == before
    assert seen["back"]["table"] == "oracle-mnist-3k-closed"
    assert len(seen["back"]["rows"]) == 42
    odd = seen["odd"]
    assert odd["table"] == "oracle-mnist-3k-closed"
    assert odd["sorted"] == ["accuracy", "descending"]
    assert odd["columns"] == [*FIVE, "command"]
    assert odd["rows"] == []  # no name contains the words, which are text and not markup


@pytest.mark.slow
def test_a_keyboard_is_enough(visit: Visit) -> None:
    """Columns, sorting, notes, copying and the page of a row; and notes by pointer and touch."""
    both = visit("keyboard", "notes")
    seen = both["keyboard"]
    for stop in ("columns", "heading", "rank", "copy", "name"):
        assert seen[stop], f"Tab does not reach: {stop}"
    assert "number" in seen["added"]
    assert seen["closed"]
    assert seen["sorted"] == ["size", "ascending"]
    assert seen["note"].startswith("Rank ")
    assert seen["hidden"] is None
    assert seen["copied"].startswith("oraclezoo bench ")
    assert "--data-dir" not in seen["copied"]
    assert "--out" not in seen["copied"]
    name, title = seen["page"]
    assert title.startswith(name)

    notes = both["notes"]
    assert "paired tests on the same images and seeds" in notes["hovered"]
    assert "yet has the worse rank, 5" in notes["hovered"]
    assert notes["kept"] == notes["hovered"]
    assert notes["touched"].startswith("Rank 1: none of 41 compared rows")
    assert notes["box"]["x"] >= 0
    assert notes["box"]["x"] + notes["box"]["width"] <= 390


@pytest.mark.slow
def test_the_table_fits_its_screen(visit: Visit) -> None:
    """No page is wider than its screen, no column is cut off, and headings stay in sight."""
    seen = visit("layout")["layout"]
    for name, each in seen.items():
        assert each["wide"] <= 0, name
    assert seen["desktop"]["columns"] == [*FIVE, "command"]
    assert seen["all columns"]["columns"] == [*FIVE, *EXTRA, "command"]
    for name in ("desktop", "all columns"):
        assert seen[name]["right"] <= 1440
    for name in ("desktop", "all columns", "phone", "small phone"):
        assert seen[name]["top"] == pytest.approx(seen[name]["under"], abs=2), name
    assert seen["phone"]["columns"] == ["rank", "recipe", "accuracy"]
    assert seen["phone"]["height"] < 6000  # 42 rows and three plots


@pytest.mark.slow
@pytest.mark.full
def test_labels_of_plots_never_overlap(visit: Visit) -> None:
    """By their boxes in the browser, for all tables, several filters and two widths."""
    seen = visit("labels")["labels"]
    assert len(seen) == 30
    assert {name: each["bad"] for name, each in seen.items() if each["bad"]} == {}
    assert all(seen[name]["count"] >= 6 for name in seen if name.endswith("-closed"))


@pytest.mark.slow
@pytest.mark.full
def test_axe_finds_nothing_serious(visit: Visit) -> None:
    """The table with all columns, a note and the page of a row, in light and dark."""
    assert visit("axe")["axe"]["found"] == []


@pytest.mark.slow
def test_each_row_has_a_page(visit: Visit) -> None:
    """It has all sections, links to components and neighbors, files with their true digests."""
    seen = visit("row")["row"]
    closed = next(
        table
        for table in tables(load_results([RESULTS]), track="oracle-mnist-3k")
        if table.division == "closed"
    )
    row = closed.rows[2]
    assert seen["title"].startswith(row.label)
    assert row.recipe in seen["description"]
    assert seen["sections"] == [
        "rank", "seeds", "classes", "calibration", "latency", "reproduce", "provenance",
    ]  # fmt: skip
    for text in (f"{row.accuracy_percent:.2f}%", row.hash12, "SD ", "no validation accuracy"):
        assert text in seen["text"]
    assert seen["commands"] == [
        f"oraclezoo reproduce {row.id}",
        "oraclezoo bench tiny --compress int8 --track oracle-mnist-3k",
    ]
    assert seen["recalls"] == 10
    assert seen["confusion"] == 100
    assert any(link.endswith("zoo/backbones/oraclenet_n.html") for link in seen["links"])
    assert len(seen["files"]["actual"]) == 2
    assert seen["files"]["actual"] == seen["files"]["digests"]
    assert all(wide <= 0 for wide in seen["wide"].values())
    assert seen["back"]["target"] == str(row.number)


@pytest.mark.slow
@pytest.mark.full
def test_the_page_is_complete_without_a_script(visit: Visit) -> None:
    """Rows of all tables, columns on demand and notes; nothing that would do nothing."""
    seen = visit("plain")["plain"]
    assert seen["rows"] == 88
    assert seen["visible"]
    assert not seen["form"]
    assert not seen["copy"]
    assert not seen["before"]
    assert seen["macs"]
    assert seen["note"].startswith("Rank 1: none of")


@pytest.mark.slow
@pytest.mark.full
def test_screenshots_are_taken(visit: Visit, tmp_path: Path) -> None:
    """At desktop and phone width, in light and dark, for a person to look at."""
    visit(f"screenshots={tmp_path}")
    assert len(list(tmp_path.glob("*.png"))) == 8
