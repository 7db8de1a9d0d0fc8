"""HTML of the leaderboard page: complete, well-formed, and with untrusted text escaped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.page import bars, chart, facts
from oraclezoo.ranking.page.board import board
from oraclezoo.ranking.page.columns import columns, lines
from oraclezoo.ranking.page.details import details
from oraclezoo.ranking.pareto import points
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.table import leaderboard
from oraclezoo.result import Failure

MakeEntry = Callable[..., Entry]
FACTS = facts.Facts("glyphs-3k", "closed", "resnet", "sgd", "linear", "none", "cpu")
HOSTILE = '<script>alert("x")</script>'
VOID = {"input", "wbr", "br"}


class Page(HTMLParser):
    """The elements of a page, with a check that each is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [
            a
            for name, a in self.elements
            if name == tag and all(a.get(k.replace("_", "-")) == v for k, v in attributes.items())
        ]


@pytest.fixture
def entries(make_entry: MakeEntry) -> list[Entry]:
    """Return a closed table of three rows, one failed, an open one and a synthetic one."""
    ease = (np.arange(400) + 0.5) / 400
    rng = np.random.default_rng(3)

    def correct(share: float) -> np.ndarray:
        return (ease + rng.normal(0, 0.02, (5, 400))) < share

    real = {"track": "oracle-mnist-3k"}
    failed = (Failure(0, "diverged", HOSTILE),)
    return [
        make_entry("first", correct(0.9), **real),
        make_entry("near", correct(0.895), hardware="other-cpu-4t", refit=True, **real),
        make_entry("failed", None, failures=failed, test=400, **real),
        make_entry("open", correct(0.95), division="open", **real),
        make_entry("drawn", correct(0.99), track="glyphs-3k"),
    ]


def test_every_row_is_there_without_a_script(entries: list[Entry]) -> None:
    """Tables are by track and division, real data first; the filter form is hidden."""
    page = Page(board(entries))
    tables = [(s["data-track"], s["data-division"]) for s in page.all("section")]
    assert tables == [
        ("oracle-mnist-3k", "closed"), ("oracle-mnist-3k", "open"), ("glyphs-3k", "closed"),
    ]  # fmt: skip
    assert len([body for body in page.all("tbody") if "data-row" in body]) == 5
    assert "hidden" in page.all("form")[0]
    assert len({body["id"] for body in page.all("tbody") if "id" in body}) == 5


def test_command_and_provenance_are_behind_each_row(entries: list[Entry]) -> None:
    """The details have command, hashes, versions, and every seed and latency."""
    html = board(entries[:1])
    result = entries[0].result
    assert result.predictions is not None
    for text in (
        result.command, result.recipe.hash, result.code_sha256, result.predictions.sha256,
        result.created, result.hardware.cpu, *result.libraries.values(),
    ):  # fmt: skip
        assert f">{text}" in html or f" {text}" in html or f"{text}," in html
    assert html.count("<summary>") == 2
    page = Page(html)
    assert len(page.all("details")) == 2


def test_numbers_are_sorted_by_their_values(entries: list[Entry]) -> None:
    """Each numeric cell has its full value; a missing one has none."""
    page = Page(board(entries[:3]))
    cells = page.all("td", data_key="accuracy")
    table = leaderboard(entries[:3])
    values = [cell.get("data-value") for cell in cells]
    assert values == [
        None if row.accuracy_percent is None else repr(row.accuracy_percent) for row in table.rows
    ]
    assert values[-1] is None
    numeric = {h["data-key"] for h in page.all("th", data_type="number")}
    assert numeric >= {"rank", "accuracy", "latency", "size", "training", "parameters", "macs"}


def test_rows_and_columns_have_headings(entries: list[Entry]) -> None:
    """Header cells have a scope, and drawings have labels."""
    page = Page(board(entries))
    heads = [h for h in page.all("th") if "data-type" in h]
    assert heads
    assert all(h["scope"] == "col" for h in heads)
    assert len(page.all("th", scope="row")) == 5
    drawings = page.all("svg", role="img")
    assert drawings
    assert all(svg["aria-label"] for svg in drawings)


def test_untrusted_text_is_escaped(make_entry: MakeEntry, entries: list[Entry]) -> None:
    """In messages, commands and recipe contents alike."""
    hostile = make_entry("hostile", np.ones((5, 40), dtype=bool), content={"x": HOSTILE})
    object.__setattr__(hostile.result, "command", HOSTILE)
    for html in (board([hostile]), board(entries)):
        assert "&lt;script&gt;" in html
        assert Page(html).all("script") == []


def test_choices_are_those_of_the_rows(entries: list[Entry]) -> None:
    """Facets with a single value are omitted; the options are the rows' values."""
    page = Page(board(entries))
    assert {s["name"] for s in page.all("select")} == {"track", "division", "hardware", "sort"}
    offered = {o.get("value") for o in page.all("option")}
    bodies = [body for body in page.all("tbody") if "data-row" in body]
    for name in ("track", "division", "hardware"):
        assert {body[f"data-{name}"] for body in bodies} <= offered


def test_the_same_results_make_the_same_page(entries: list[Entry]) -> None:
    """The bytes do not depend on the order of the results."""
    assert board(entries) == board(entries[::-1])


@pytest.mark.parametrize(
    ("backbone", "meant"),
    [
        ("oraclezoo:oraclenet", "oraclenet"),
        ("oraclenet_b", "oraclenet"),
        ("timm/resnet18", "resnet"),
        ("resnet10t", "resnet"),
        ("oraclezoo:timm/tf_efficientnetv2_b0", "efficientnetv2"),
        ("mobilenetv3_small_100", "mobilenetv3"),
        ("ese_vovnet19b_slim_dw", "vovnet"),
        ("wrn_10_2", "wrn"),
        ("oraclezoo-gcnn:p4cnn", "p4cnn"),
    ],
)
def test_families_are_derived_from_names(backbone: str, meant: str) -> None:
    """Sizes are removed, versions kept."""
    assert facts.family(backbone) == meant


def test_the_plot_is_svg_with_every_point(entries: list[Entry]) -> None:
    """Well-formed on its own, with a mark and an interval for each row that has the cost."""
    table = leaderboard(entries[:3])
    plotted = points(table.rows, "size_bytes")
    root = ElementTree.fromstring(chart.scatter(plotted, "size_bytes", images=400))
    name = "{http://www.w3.org/2000/svg}"
    marks = [g for g in root.iter(f"{name}g") if "data-row" in g.attrib]
    assert [g.attrib["data-row"] for g in marks] == ["1", "2"]
    assert all(g.find(f"{name}line") is not None for g in marks)
    for node in root.iter():
        for key in ("x", "y", "cx", "cy", "x1", "x2", "y1", "y2"):
            assert 0 <= float(node.attrib.get(key, 0)) <= chart.WIDTH


def test_a_plot_of_one_point_or_of_equal_ones_is_drawn(entries: list[Entry]) -> None:
    """The axes have a length, and 100% accuracy has a position."""
    for table in (leaderboard(entries[4:]), leaderboard(entries[:1])):
        plotted = points(table.rows, "train_s")
        drawing = chart.scatter(plotted, "train_s", images=table.test)
        assert "nan" not in drawing
        assert "inf" not in drawing


def test_bars_keep_the_order_of_accuracies() -> None:
    """The scale is monotonic and clips values outside it."""
    scale = bars.Scale(70, 100, 0.05)
    places = [scale(value) for value in (60, 70, 80, 90, 99, 100)]
    assert places == sorted(places)
    assert places[0] == places[1] == 0
    assert places[-1] == pytest.approx(bars.WIDTH)
    assert scale(90) - scale(80) == pytest.approx(scale(99) - scale(98))


def test_the_tables_to_download_are_linked(entries: list[Entry]) -> None:
    """The links have the given labels."""
    page = Page(board(entries, downloads={"as JSON": "a.json"}))
    (link,) = page.all("a", href="a.json")
    assert "download" in link
    assert json.dumps(link)


def test_compression_is_a_column_once_there_is_some(
    make_entry: MakeEntry, entries: list[Entry]
) -> None:
    """With compressed results there is a column and a facet; otherwise neither."""
    assert Page(board(entries)).all("th", data_key="compression") == []
    content = {"name": "small", "compress": ["prune50", "int8"]}
    right = np.ones((5, 400), dtype=bool)
    small = make_entry("small", right, content=content, track="oracle-mnist-3k")
    page = Page(board([*entries[:2], small]))
    assert len(page.all("th", data_key="compression")) == 1
    assert {"none", "prune50+int8"} <= {option.get("value") for option in page.all("option")}
    assert len(page.all("tbody", data_compression="prune50+int8")) == 1


def recipe_cell(row: Row) -> str:
    """Return the recipe cell of a row."""
    actual = lines([row], [FACTS])
    (column,) = [each for each in columns(actual, 40) if each.key == "recipe"]
    return column.show(actual[0])


def test_a_row_shows_how_often_it_was_reproduced(make_entry: MakeEntry) -> None:
    """Without reproductions there is no mark; differing ones are counted separately."""
    shown = leaderboard([make_entry("first", np.ones((5, 40), dtype=bool))]).rows[0]
    assert "reproduced" not in recipe_cell(shown)
    again = recipe_cell(replace(shown, reproductions=2, reproductions_differing=1))
    assert "reproduced 2×" in again
    assert "differed 1×" in again


def test_overlapping_labels_of_a_crowded_plot_are_omitted() -> None:
    """Of overlapping labels the highest is kept; labels that do not overlap are kept."""
    places = [(100.0, 60.0), (104.0, 58.0), (300.0, 60.0), (104.0, 80.0), (0.0, 0.0)]
    labels = ["long-name", "another-name", "far", "below", ""]
    visible = chart._without_overlaps(labels, places)
    assert visible == ["", "another-name", "far", "below", ""]


def test_many_scattered_ties_are_counted(entries: list[Entry]) -> None:
    """A long list of ties is replaced by its count."""
    table = leaderboard(entries[:3])
    row = replace(table.rows[0], number=30, ties_with=tuple(range(1, 20, 2)), compared_with=40)
    actual = lines([row], [FACTS])
    (column,) = (column for column in columns(actual, 400) if column.key == "ties")
    assert ">10 rows</span>" in column.show(actual[0])
    assert "1, 3, 5, 7, 9" in column.show(actual[0])
    few = replace(actual[0], row=replace(row, ties_with=(1, 2, 5)))
    assert ">1-2, 5</span>" in column.show(few)


@pytest.mark.parametrize("refit", [True, False])
def test_a_refit_has_no_validation_accuracy(make_entry: MakeEntry, refit: bool) -> None:
    """Results of 0.1.0 have one on images that were trained on."""
    result = make_entry("x", np.ones((5, 40), dtype=bool), refit=refit).result
    assert {score.validation_accuracy for score in result.seeds} == {0.5}
    assert ("50.00" in details(result)) is not refit
