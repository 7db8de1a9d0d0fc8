"""``oraclezoo leaderboard``."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from oraclezoo.cli.leaderboard import command
from oraclezoo.errors import ResultError
from oraclezoo.ranking.load import Entry

MakeEntry = Callable[..., Entry]


def run(*arguments: str) -> str:
    """Return the command's stdout; errors are raised."""
    runner = CliRunner()
    outcome = runner.invoke(command, list(arguments), catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stderr == ""
    return outcome.stdout


@pytest.fixture
def here(make_entry: MakeEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a working directory with ./results of two tracks."""
    rng = np.random.default_rng(0)
    make_entry("default", rng.random((5, 60)) < 0.9)
    make_entry("authors-cnn", rng.random((5, 60)) < 0.6)
    make_entry("default", rng.random((5, 60)) < 0.8, track="oracle-mnist-3k")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def test_json_is_one_document(here: Path) -> None:
    """--json and --format json print the same single document."""
    document = json.loads(run("--json"))
    assert document == json.loads(run("--format", "json"))
    assert document["schema"] == "oraclezoo/leaderboard/1"
    result = document["data"]["tables"]
    assert [table["track"] for table in result] == ["glyphs-3k", "oracle-mnist-3k"]
    assert [row["recipe"] for row in result[0]["rows"]] == ["default", "authors-cnn"]
    assert [row["rank"] for row in result[0]["rows"]] == [1, 2]


def test_the_default_is_a_table_of_results_here(here: Path) -> None:
    """Without arguments, ./results is shown with one table per track."""
    text = run()
    assert "Leaderboard: glyphs-3k, closed division" in text
    assert "Leaderboard: oracle-mnist-3k, closed division" in text
    assert run("results") == text


def test_a_track_can_be_chosen(here: Path) -> None:
    """--track omits other tracks."""
    assert "glyphs" not in run("--track", "oracle-mnist-3k", "--format", "markdown")


def test_csv_has_one_header(here: Path) -> None:
    """Several tables form one CSV, distinguished by the first columns."""
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv"))))
    assert [(row["track"], row["recipe"]) for row in rows] == [
        ("glyphs-3k", "default"),
        ("glyphs-3k", "authors-cnn"),
        ("oracle-mnist-3k", "default"),
    ]


def test_nothing_to_show_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error suggests ``oraclezoo bench``."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ResultError, match="oraclezoo bench"):
        run()


def test_it_is_a_click_command() -> None:
    """The lazy group finds it by this name."""
    assert isinstance(command, click.Command)
    assert command.name == "leaderboard"


def test_further_columns_are_shown_when_asked(here: Path) -> None:
    """Every row shows its calibration, and a dash without corruption scores."""
    plain = run("--track", "glyphs-3k", "--format", "markdown")
    assert "ECE" not in plain
    robust = run("--track", "glyphs-3k", "--format", "markdown", "--columns", "robust")
    assert "| Calibration | Corrupted, % |" in robust
    row = next(line for line in robust.splitlines() if line.startswith("| 1 "))
    assert re.search(r"ECE \d+\.\d\d% \(\d+\.\d\d%\), NLL \d\.\d{3} nats \| – \|$", row)
    (table,) = json.loads(run("--track", "glyphs-3k", "--json"))["data"]["tables"]
    assert table["rows"][0]["ece_percent"] > 0
    assert table["rows"][0]["corrupted_percent"] is None
