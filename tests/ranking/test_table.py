"""Leaderboard tables: selection, order, figures and formats."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console

from oraclezoo.card import PluginSource
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.ranking import ledger
from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.table import Table, leaderboard, tables
from oraclezoo.result import ComponentRecord, Failure, Result

MakeEntry = Callable[..., Entry]
Bools = npt.NDArray[np.bool_]
DIVERGED = Failure(0, "diverged", "loss is nan\nat step 3 | <b>[red]")


def rows_of(shares: dict[str, float], seeds: int = 5, images: int = 400) -> dict[str, Bools]:
    """Return rows with about these accuracies; easy images are the same for all."""
    rng = np.random.default_rng(3)
    ease = rng.random(images)
    return {
        name: (ease[None, :] + rng.normal(0, 0.02, (seeds, images))) < share
        for name, share in shares.items()
    }


@pytest.fixture
def three(make_entry: MakeEntry) -> list[Entry]:
    """Return three results: two similar ones, and one ten points worse."""
    entries = rows_of({"good": 0.9, "same": 0.9, "worse": 0.8})
    return [make_entry(name, correct) for name, correct in entries.items()]


def by_name(table: Table) -> dict[str, Row]:
    """Return rows by recipe name."""
    return {row.recipe: row for row in table.rows}


def test_ranks_ties_and_figures(three: list[Entry]) -> None:
    """Rows without a significant difference share rank 1 and list each other; the third is 3."""
    table = leaderboard(three)
    rows = by_name(table)
    assert [rows[name].rank for name in ("good", "same", "worse")] == [1, 1, 3]
    assert rows["good"].ties_with == (rows["same"].number,)
    assert rows["same"].ties_with == (rows["good"].number,)
    assert rows["worse"].ties_with == ()
    assert rows["worse"].beaten_by == (1, 2)
    assert rows["good"].beaten_by == rows["same"].beaten_by == ()
    assert [row.number for row in table.rows] == [1, 2, 3]
    worse = rows["worse"]
    assert worse.accuracy_percent == pytest.approx(
        100 * np.mean([s.accuracy for s in three[2].result.seeds])
    )
    limits = (worse.ci95_low_percent or 0, worse.ci95_high_percent or 0)
    assert limits[0] < (worse.accuracy_percent or 0) < limits[1]
    assert (worse.train_s, worse.train_min_s, worse.train_max_s) == (12.0, 10.0, 14.0)
    assert worse.compared_with == 2


def test_a_row_that_varies_much_stands_by_its_mean(make_entry: MakeEntry) -> None:
    """Sorted by rank, it would be above steadier rows with a higher mean."""
    entries = rows_of({"best": 0.9, "second": 0.85, "wild": 0.8})
    shares = (0.95, 0.5, 0.9, 0.6, 0.95)
    for correct, share in zip(entries["wild"], shares, strict=True):
        correct[:] = np.arange(len(correct)) < share * len(correct)
    table = leaderboard([make_entry(name, correct) for name, correct in entries.items()])
    rows = by_name(table)
    assert [row.recipe for row in table.rows] == ["best", "second", "wild"]
    assert (rows["wild"].rank or 9) < (rows["second"].rank or 0)


def test_order_of_files_changes_nothing(three: list[Entry]) -> None:
    """Any order of results gives the same document."""
    assert leaderboard(three[::-1]).to_json() == leaderboard(three).to_json()


def test_results_loaded_one_by_one_serve_as_well(three: list[Entry]) -> None:
    """Predictions are found by the result's path; a result without a path raises an error."""
    assert leaderboard([e.result for e in three]) == leaderboard(three)
    parts = {f: getattr(three[0].result, f) for f in three[0].result.__dataclass_fields__}
    with pytest.raises(ResultError, match="save or load it first"):
        leaderboard([type(three[0].result)(**parts | {"path": None})])


def test_a_copied_row_ties_under_another_recipe(make_entry: MakeEntry, three: list[Entry]) -> None:
    """The same predictions under another recipe have the same rank and tie."""
    correct = rows_of({"good": 0.9, "same": 0.9, "worse": 0.8})["worse"]
    rows = by_name(leaderboard([*three, make_entry("copy", correct)]))
    assert rows["copy"].rank == rows["worse"].rank == 3
    assert rows["copy"].accuracy_percent == rows["worse"].accuracy_percent
    assert rows["copy"].ties_with == (rows["worse"].number,)


def test_identical_recipes_are_merged(make_entry: MakeEntry) -> None:
    """The result with the most seeds is kept, then the earliest."""
    correct = rows_of({"x": 0.9}, seeds=6)["x"]
    content = {"epochs": 1}
    make = {"content": content, "hardware": "a"}
    late = make_entry("late", correct[:5], created="2026-03-01T00:00:00Z", **make)
    early = make_entry("early", correct[:5], created="2026-02-01T00:00:00+00:00", **make)
    few = make_entry("few", correct[:3], created="2026-01-01T00:00:00Z", **make)
    failed = make_entry("failed", None, failures=(DIVERGED,), **make)
    (row,) = leaderboard([late, few, early, failed]).rows
    assert (row.recipe, row.replicates, row.seeds) == ("early", 3, 5)
    (row,) = leaderboard([make_entry("most", correct, **make), late, early]).rows
    assert (row.recipe, row.replicates, row.seeds) == ("most", 2, 6)


def test_tracks_divisions_and_data_are_never_mixed(make_entry: MakeEntry) -> None:
    """Each combination has a table; ``leaderboard`` fails if there are several."""
    correct = rows_of({"x": 0.9})["x"]
    entries = [
        make_entry("x", correct),
        make_entry("y", correct, division="open"),
        make_entry("z", correct, track="oracle-mnist-3k"),
        make_entry("w", correct, data="b"),
    ]
    result = tables(entries)
    assert [(t.track, t.division, len(t.rows)) for t in result] == [
        ("glyphs-3k", "closed", 1),
        ("glyphs-3k", "closed", 1),
        ("glyphs-3k", "open", 1),
        ("oracle-mnist-3k", "closed", 1),
    ]
    assert [bool(t.data) for t in result] == [True, True, False, False]
    with pytest.raises(UsageError, match="several tables"):
        leaderboard(entries)
    assert leaderboard(entries, track="oracle-mnist-3k").rows[0].recipe == "z"
    assert leaderboard(entries, track="glyphs-3k", division="open").rows[0].recipe == "y"
    with pytest.raises(UsageError, match="did you mean 'glyphs-3k'"):
        leaderboard(entries, track="glyph-3k")
    with pytest.raises(UsageError, match="open division"):
        leaderboard(entries, track="oracle-mnist-3k", division="open")
    with pytest.raises(ResultError, match="oraclezoo bench"):
        tables([])


def test_other_labels_on_the_same_data_are_refused(make_entry: MakeEntry) -> None:
    """Results with the same data digests must have the same test labels."""
    entries = rows_of({"x": 0.9, "y": 0.9})
    a, b = make_entry("x", entries["x"]), make_entry("y", entries["y"])
    assert b.predictions is not None
    b.predictions.labels[:] = (b.predictions.labels + 1) % 4
    with pytest.raises(ResultError, match="different test labels"):
        leaderboard([a, b])


def test_rows_of_few_seeds_have_no_rank(make_entry: MakeEntry, three: list[Entry]) -> None:
    """A row of one seed has no interval and no rank, and follows the ranked rows."""
    lucky = make_entry("lucky", np.ones((1, 400), dtype=bool))
    table = leaderboard([lucky, *three])
    assert [row.recipe for row in table.rows][3] == "lucky"
    row = by_name(table)["lucky"]
    assert (row.rank, row.compared_with, row.accuracy_percent) == (None, 0, 100.0)
    assert row.ci95_low_percent is row.ci95_high_percent is row.seed_std_points is None
    assert "no interval" in table.to_markdown()
    assert leaderboard([lucky]).rows[0].rank is None
    assert leaderboard([three[0]]).rows[0].rank == 1


def test_few_seeds_have_an_interval_within_0_and_100_that_is_called_rough(
    make_entry: MakeEntry, three: list[Entry]
) -> None:
    """Two seeds, one all wrong, and five that are all right."""
    halves = make_entry("halves", np.repeat([[True], [False]], 400, axis=1))
    perfect = make_entry("perfect", np.ones((5, 400), dtype=bool))
    table = leaderboard([halves, perfect, *three])
    for row in table.rows:
        assert row.ci95_low_percent is not None
        assert row.ci95_high_percent is not None
        assert 0 <= row.ci95_low_percent < row.ci95_high_percent <= 100
    text = table.to_markdown()
    assert text.count("2 seeds (fewer than 5: rough interval)") == 1
    assert "Fewer than 5 seeds: such an interval is rough" in text
    assert "rough" not in leaderboard(three).to_markdown()


def test_failed_rows_come_last_with_their_reason(make_entry: MakeEntry, three: list[Entry]) -> None:
    """A recipe without a successful seed has no rank, and one line states the reason."""
    failures = (DIVERGED, Failure(1, "diverged", ""), Failure(2, "killed", ""))
    failed = make_entry("broken", None, failures=failures, test=0)
    some = make_entry("some", rows_of({"x": 0.85})["x"], failures=failures[:1])
    table = leaderboard([failed, *three, some])
    last = table.rows[-1]
    assert (last.recipe, last.rank, last.accuracy_percent) == ("broken", None, None)
    assert last.failures == 3
    assert last.failed.startswith("2 diverged, 1 killed: loss is nan at step 3")
    assert by_name(table)["some"].failed == "1 diverged"
    assert table.test == 400
    for text in (table.to_markdown(), shown(table, 250)):
        assert "2 diverged, 1 killed" in text


def test_a_failed_row_joins_the_table_of_its_data(make_entry: MakeEntry) -> None:
    """A run that failed before reading all data files still belongs to the track's table."""
    ended = make_entry("x", rows_of({"x": 0.9})["x"])
    failed = make_entry("y", None, failures=(DIVERGED,))
    failed.result.track.data_sha256["generated-test"] = "f" * 64  # type: ignore[index]  # a dict
    (table,) = tables([failed, ended])
    assert [row.recipe for row in table.rows] == ["x", "y"]


def shown(table: Table, width: int, **options: Any) -> str:
    """Return the output for a terminal of this width; for options see ``Table.to_rich``."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(table.to_rich(**options))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_form_says_what_its_figures_are(three: list[Entry]) -> None:
    """Title, interval, ties, seeds, hardware class and synthetic data appear in every format."""
    table = leaderboard(three)
    everything: dict[str, Any] = {"columns": ("cost", "ties", "components"), "explain": True}
    for text in (table.to_markdown(), shown(table, 250, **everything), table._repr_html_()):
        flat = " ".join(text.split()).replace("\\", "")
        for message in (
            "glyphs-3k, closed division", "SYNTHETIC", "95% interval", "Satterthwaite",
            "does not mean equality", "not transitive", "share five or more seeds",
            "Holm-corrected at 5%", "test-cpu-2t", "0.29", "33.00", "1.20", "0.80",
            "eager fp32", "1 thread", "12.0", "some-backbone",
        ):  # fmt: skip
            assert message in flat, message
    for text in (table.to_markdown(), table._repr_html_()):
        flat = " ".join(text.split()).replace("\\", "")
        for message in (
            "0.29 M params", "33.00 M MACs", "1.20 MB", "latency 0.80 ms", "(0.90)",
            "cpu, 1 thread", "training 12.0 s", "(10.0 to 14.0)", "SD ", "5 seeds",
        ):  # fmt: skip
            assert message in flat, message
    assert "SYNTHETIC" not in leaderboard_of_real(three)


def test_the_terminal_has_one_line_per_row(make_entry: MakeEntry, three: list[Entry]) -> None:
    """At 80 columns and with long names; definitions are printed on request only."""
    long = rows_of({"backbones/mobilenetv3_small_100": 0.85})
    more = [make_entry(name, correct, refit=True) for name, correct in long.items()]
    table = leaderboard([*three, *more])
    text = shown(table, 80)
    for row in table.rows:
        (line,) = [line for line in text.splitlines() if f" {row.label} " in line]
        assert f"{row.accuracy_percent:.2f} [{row.ci95_low_percent:.1f}, " in line
        assert line.split()[-2:] == ["0.80", "1.20"]
    assert "† refit" in text
    assert "Satterthwaite" not in text
    assert "leaderboard --explain" in text
    (entry,) = (make_entry(name, row[:1]) for name, row in rows_of({"q": 0.85}).items())
    narrow = shown(leaderboard([entry]), 80)
    assert "1 row; definitions: oraclezoo leaderboard --explain" in narrow
    assert "Satterthwaite" in shown(table, 80, explain=True)
    assert "leaderboard --explain" not in shown(table, 80, explain=True)


def test_unknown_columns_are_refused(three: list[Entry]) -> None:
    """The message names the nearest group."""
    with pytest.raises(UsageError, match=r"no columns 'costs'.*cost"):
        leaderboard(three).to_rich(columns=("costs",))


def leaderboard_of_real(entries: list[Entry]) -> str:
    """Return the Markdown of the same results marked as real images."""
    from dataclasses import replace

    real = [
        Entry(replace(e.result, track=replace(e.result.track, synthetic=False)), e.predictions)
        for e in entries
    ]
    return leaderboard(real).to_markdown()


def test_a_narrow_terminal_still_shows_all(three: list[Entry]) -> None:
    """At 80 columns, text wraps and is not truncated."""
    table = leaderboard(three)
    text = shown(table, 80) + shown(table, 80, columns=("cost", "ties"), explain=True)
    for row in table.rows:
        calibrated = shown(table, 80, columns=("robust",))
        assert f"{row.ece_percent:.2f}" in calibrated
        assert f"{row.nll_nats:.3f}" in calibrated
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_several_hardware_classes_are_distinguished(make_entry: MakeEntry) -> None:
    """Each row shows its hardware class, and the caption warns about comparing times."""
    result = rows_of({"x": 0.9, "y": 0.8})
    entries = [make_entry(name, c, hardware=f"cpu-{name}") for name, c in result.items()]
    text = leaderboard(entries).to_markdown()
    assert "cpu-x" in text
    assert "cpu-y" in text
    assert "within one hardware class only; this table has several" in text


def test_the_ledger_is_reported(make_entry: MakeEntry, three: list[Entry]) -> None:
    """The caption states the number of recipes scored on this split, ranked or not."""
    assert leaderboard(three).recipes_scored is None
    assert "Ledger" not in leaderboard(three).to_markdown()
    path, track = three[0].result.path, three[0].result.track
    assert path is not None
    for recipe in "abcd":
        ledger.record(path.parent, track=track.name, data_key=track.data_key, recipe_hash=recipe)
    table = leaderboard(three)
    assert table.recipes_scored == 4
    assert "4 distinct recipes have been scored on this test split" in table.to_markdown()


def test_refit_and_replicates_are_marked(make_entry: MakeEntry) -> None:
    """A recipe that trained on validation images says so, and so do merged results."""
    correct = rows_of({"x": 0.9})["x"]
    entry = make_entry("x", correct, refit=True)
    again = make_entry("x", correct, refit=True, hardware="other", created="2026-05-01T00:00:00Z")
    text = leaderboard([again, entry]).to_markdown()
    assert "refit, 1 replicate" in text
    assert "Refit: trained on the training and validation images" in text


def test_csv_has_every_field(three: list[Entry]) -> None:
    """One line per row, units in the header, plain numbers; a second table omits the header."""
    table = leaderboard(three)
    read = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [row["recipe"] for row in read] == [row.recipe for row in table.rows]
    assert float(read[0]["accuracy_percent"]) == table.rows[0].accuracy_percent
    assert (read[0]["track"], read[0]["latency_p50_ms"], read[0]["latency_threads"]) == (
        "glyphs-3k", "0.8", "1",
    )  # fmt: skip
    assert table.to_csv(header=False) == table.to_csv().split("\n", 1)[1]


def test_json_is_plain(three: list[Entry]) -> None:
    """The document survives JSON unchanged, without NaN, one-seed rows and failures included."""
    document = leaderboard(three).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["rows"][0]["latency"]["p50_ms"] == 0.8
    assert document["track"] == "glyphs-3k"


@pytest.mark.parametrize("form", ["markdown", "html", "rich", "csv"])
def test_strangers_texts_are_escaped(make_entry: MakeEntry, form: str) -> None:
    """Messages are never interpreted as markup, formulas or control sequences."""
    evil = Failure(0, "error", "=cmd() | <script>alert(1)</script> [bold red]x[/] \x1b[2J\n`y`")
    table = leaderboard([make_entry("x", None, failures=(evil,))])
    forms: dict[str, Callable[[], str]] = {
        "markdown": table.to_markdown,
        "html": table._repr_html_,
        "rich": lambda: shown(table, 400),
        "csv": table.to_csv,
    }
    text = forms[form]()
    assert "\x1b" not in text
    if form == "html":
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
    if form == "markdown":
        assert "\\| \\<script\\>" in text
        assert "\\`y\\`" in text
    if form == "rich":
        assert "[bold red]x[/]" in text
    if form == "csv":
        (row,) = csv.DictReader(io.StringIO(text))
        assert not any(value.startswith("=") for value in row.values())


def test_other_plugin_code_makes_another_row(make_entry: MakeEntry) -> None:
    """Equal recipes with a changed plugin are not replicates; with the same one they are."""
    right = np.ones((5, 40), bool)
    right[:, :7] = False
    entries = []
    for number, (version, code) in enumerate(
        [("1.0", "a"), ("1.0", "b"), ("1.0", "b"), ("2.0", "b")]
    ):
        entry = make_entry("one", right)
        result = entry.result
        components = {
            **result.components,
            "backbone": ComponentRecord("zoo-x:net", "zoo-x", version),
        }
        plugins = {"zoo-x": PluginSource(version, code * 64, "index")}
        changed = replace(result, id=f"one-{number}", components=components, plugins=plugins)
        assert Result.from_json_dict(changed.to_json_dict()) == changed
        entries.append(Entry(changed, entry.predictions))
    (table,) = tables(entries)
    actual = sorted((row.plugins, row.replicates) for row in table.rows)
    assert actual == [
        ("zoo-x 1.0 (aaaaaaaa)", 0),
        ("zoo-x 1.0 (bbbbbbbb)", 1),
        ("zoo-x 2.0 (bbbbbbbb)", 0),
    ]


def test_a_result_of_built_in_components_has_no_entry_on_plugins(make_entry: MakeEntry) -> None:
    """Documents of version 0.1 are read and written unchanged."""
    result = make_entry("one", np.ones((5, 40), bool)).result
    assert "plugins" not in result.to_json_dict()
    assert result.plugin_key == ()
