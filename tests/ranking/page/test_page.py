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
from oraclezoo.ranking.page import bars, chart, facts, mistakes, near
from oraclezoo.ranking.page.board import board, entries_by_row
from oraclezoo.ranking.page.columns import columns, lines
from oraclezoo.ranking.page.commands import training_command
from oraclezoo.ranking.page.links import Links, key
from oraclezoo.ranking.page.notes import rank_note
from oraclezoo.ranking.page.provenance import seeds
from oraclezoo.ranking.page.row import row_page
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
            if name == tag
            and all(a.get(k.strip("_").replace("_", "-")) == v for k, v in attributes.items())
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
    assert len([row for row in page.all("tr") if "data-row" in row]) == 5
    assert "hidden" in page.all("form")[0]
    assert len({row["id"] for row in page.all("tr") if "id" in row}) == 5


def pages(entries: list[Entry], links: Links | None = None) -> list[str]:
    """Return the pages of the rows of a table."""
    table, by_row = leaderboard(entries), entries_by_row(entries)
    return [row_page(row, table, by_row, links or Links()) for row in table.rows]


def test_command_and_provenance_are_on_the_page_of_a_row(entries: list[Entry]) -> None:
    """Command, hashes, versions, every seed and latency; a failed row says why."""
    html = pages(entries[:1])[0]
    result = entries[0].result
    assert result.predictions is not None
    for text in (
        f"oraclezoo reproduce {result.id}.json", result.recipe.hash, result.code_sha256,
        result.predictions.sha256, result.created, result.hardware.cpu,
        *result.libraries.values(),
    ):  # fmt: skip
        assert f">{text}" in html or f" {text}" in html or f"{text}," in html
    page = Page(html)
    assert len(page.all("details")) == 1
    sections = ["rank", "seeds", "classes", "calibration", "latency", "reproduce", "provenance"]
    assert [section["id"] for section in page.all("section")] == sections
    failed = pages(entries[:3])[2]
    assert "diverged" in failed
    assert [section["id"] for section in Page(failed).all("section")] == [
        "rank", "seeds", "latency", "reproduce", "provenance",
    ]  # fmt: skip


def test_rows_link_to_their_pages_and_components(entries: list[Entry]) -> None:
    """Addresses come from the host of the page; without one, names are plain text."""
    table = leaderboard(entries[:3])
    rows = {key(row): f"row-{row.number}.html" for row in table.rows}
    links = Links(rows=rows, component=lambda kind, name: f"{kind}.html", board="board.html")
    page = Page(board(entries[:3], links=links))
    assert [link["href"] for link in page.all("a", class_="oz-name")] == list(rows.values())
    assert len(page.all("a", href="backbone.html")) == 3
    first = Page(pages(entries[:3], links)[0])
    assert first.all("a", href="row-2.html")
    (back,) = first.all("a", class_="oz-back")
    assert (back["href"] or "").startswith("board.html#oracle-mnist-3k-closed-")
    assert Page(board(entries[:3])).all("a", class_="oz-name") == []


def test_recall_and_confusion_come_from_the_predictions(make_entry: MakeEntry) -> None:
    """Recall is the accuracy on the images of a class, and rows of the confusion sum to 1."""
    correct = np.ones((5, 400), dtype=bool)
    correct[:, ::4] = np.arange(100) < 75  # class 0 is right on three of four images
    entry = make_entry("uneven", correct)
    assert entry.predictions is not None
    shares = mistakes.confusion(entry.predictions)
    assert shares[0].tolist() == [0.75, 0.25, 0, 0]
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    html = pages([entry])[0]
    assert ">75.0</td>" in html
    assert "0 predicted as 1 (25.0%)" in html


def test_near_ties_have_paired_differences(entries: list[Entry]) -> None:
    """A row's page lists its neighbors with difference, interval and verdict."""
    table, by_row = leaderboard(entries[:3]), entries_by_row(entries[:3])
    first, second = table.rows[:2]
    (found,) = near.neighbors(first, table.rows, by_row)
    assert found.row == second
    expected = (first.accuracy_percent or 0) - (second.accuracy_percent or 0)
    assert found.difference == pytest.approx(expected)
    assert found.low < found.difference < found.high
    assert (found.verdict == "tie") == (second.number in first.ties_with)


def test_a_note_says_why_a_lower_mean_has_a_better_rank(make_entry: MakeEntry) -> None:
    """Row c varies more between seeds, so b, with a lower rank number, is beaten by more rows."""
    base = leaderboard([make_entry("x", np.ones((5, 40), dtype=bool))]).rows[0]

    def row(number: int, name: str, rank: int, beaten_by: tuple[int, ...], std: float) -> Row:
        return replace(
            base, number=number, recipe=name, rank=rank, beaten_by=beaten_by, compared_with=3,
            ties_with=tuple({1, 2, 3, 4} - {number, *beaten_by}), seed_std_points=std,
            accuracy_percent=96.0 - number,
        )  # fmt: skip

    rows = [row(1, "a", 1, (), 0.1), row(2, "b", 1, (), 0.1), row(3, "c", 3, (1, 2), 0.2)]
    rows.append(row(4, "d", 2, (1,), 0.9))
    note = rank_note(rows[3], rows)
    assert "1 of 3 compared rows is significantly better: a." in note
    assert "c stands above with the higher mean, 93.00% against 92.00%" in note
    assert "yet has the worse rank, 3" in note
    assert "1 row is significantly better than c but not than this row" in note
    assert "varies more between seeds (SD 0.90 against 0.20 points)" in note
    other = rank_note(rows[2], rows)
    assert "d stands below with the lower mean, 92.00% against 93.00%" in other
    assert "1 row is significantly better than this row but not than d" in other
    assert "stands" not in rank_note(rows[0], rows)
    assert "none of 3 compared rows" in rank_note(rows[0], rows)


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        (
            "oraclezoo bench a first --robust --track t --data-dir ../shared/x --out out",
            "oraclezoo bench first --robust --track t",
        ),
        (
            "oraclezoo bench first --set optimizer.lr=0.1",
            "oraclezoo bench first --set optimizer.lr=0.1",
        ),
        ("oraclezoo bench first --data-dir=/secret --runs r", "oraclezoo bench first"),
        ("oraclezoo bench first --compress int8 --compress prune50", "oraclezoo bench first"),
        ("oraclezoo bench other", ""),
        ("oraclezoo train first", ""),
        ("oraclezoo bench 'first", ""),
    ],
)
def test_commands_name_no_folders(make_entry: MakeEntry, recorded: str, shown: str) -> None:
    """They are reduced to the recipe of the row; other commands are not shown."""
    entry = make_entry("first", np.ones((5, 40), dtype=bool))
    object.__setattr__(entry.result, "command", recorded)
    row = leaderboard([entry]).rows[0]
    assert training_command(entry.result, row) == shown


def test_the_command_of_a_compressed_row_has_its_steps(make_entry: MakeEntry) -> None:
    """Other variants of the same command are left out."""
    content = {"name": "first", "compress": ["prune50", "int8"]}
    entry = make_entry("first", np.ones((5, 40), dtype=bool), content=content)
    recorded = "oraclezoo bench first --compress int8 --compress prune50+int8 --track t"
    object.__setattr__(entry.result, "command", recorded)
    row = leaderboard([entry]).rows[0]
    expected = "oraclezoo bench first --compress prune50+int8 --track t"
    assert training_command(entry.result, row) == expected


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
    best = {h["data-key"] for h in page.all("th", data_best="falls")}
    assert best == {"accuracy"}
    drawings = page.all("svg", role="img")
    assert drawings
    assert all(svg["aria-label"] for svg in drawings)


def test_untrusted_text_is_escaped(make_entry: MakeEntry, entries: list[Entry]) -> None:
    """In messages, commands and recipe contents alike."""
    hostile = make_entry("hostile", np.ones((5, 40), dtype=bool), content={"x": HOSTILE})
    object.__setattr__(hostile.result, "command", HOSTILE)
    whole = pages([hostile])[0]
    for html in (whole, board(entries), *pages(entries[:3])):
        assert "<script" not in html
        assert Page(html).all("script") == []
    assert "&lt;script&gt;" in whole
    assert "&lt;script&gt;" in board(entries)


def test_choices_are_those_of_the_rows(entries: list[Entry]) -> None:
    """Facets with a single value are omitted; the options are the rows' values."""
    page = Page(board(entries))
    assert {s["name"] for s in page.all("select")} == {"hardware", "sort"}
    offered = {o.get("value") for o in page.all("option")}
    bodies = [row for row in page.all("tr") if "data-row" in row]
    assert {body["data-hardware"] for body in bodies} <= offered


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
        for name in ("x", "y", "cx", "cy", "x1", "x2", "y1", "y2"):
            assert 0 <= float(node.attrib.get(name, 0)) <= chart.WIDTH


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


def test_compression_is_a_filter_once_there_is_some(
    make_entry: MakeEntry, entries: list[Entry]
) -> None:
    """With compressed results there is a facet, and the row says how; otherwise neither."""
    assert Page(board(entries)).all("select", name="compression") == []
    content = {"name": "small", "compress": ["prune50", "int8"]}
    right = np.ones((5, 400), dtype=bool)
    small = make_entry("small", right, content=content, track="oracle-mnist-3k")
    html = board([*entries[:2], small])
    page = Page(html)
    assert {"none", "prune50+int8"} <= {option.get("value") for option in page.all("option")}
    assert len(page.all("tr", data_compression="prune50+int8")) == 1
    assert html.count(">prune50+int8</span>") == 1


def recipe_cell(row: Row) -> str:
    """Return the recipe cell of a row."""
    actual = lines([row], [FACTS])
    (column,) = [each for each in columns(actual, 40, Links()) if each.key == "recipe"]
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
    (column,) = (column for column in columns(actual, 400, Links()) if column.key == "ties")
    assert ">10 rows</span>" in column.show(actual[0])
    assert "1, 3, 5, 7, 9" in column.show(actual[0])
    few = replace(actual[0], row=replace(row, ties_with=(1, 2, 5)))
    assert ">1-2, 5</span>" in column.show(few)


@pytest.mark.parametrize("refit", [True, False])
def test_a_refit_has_no_validation_accuracy(make_entry: MakeEntry, refit: bool) -> None:
    """Results of 0.1.0 have one on images that were trained on."""
    result = make_entry("x", np.ones((5, 40), dtype=bool), refit=refit).result
    assert {score.validation_accuracy for score in result.seeds} == {0.5}
    assert ("50.00" in seeds(result)) is not refit
    assert ("no validation accuracy" in seeds(result)) is refit
