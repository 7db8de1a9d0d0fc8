"""Shared output functions: JSON documents, aligned columns, lazy registry."""

from __future__ import annotations

import json
import math
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.cli import cli
from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import App, complete_names, emit_json, print_table, say

CELL = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1)


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Schema and data are printed in ASCII, for any terminal."""
    emit_json("oraclezoo/x/1", {"glyph": "大"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"schema": "oraclezoo/x/1", "data": {"glyph": "大"}}
    assert out.isascii()


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN raises an error before anything is printed."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit_json("oraclezoo/x/1", [math.nan])
    assert capsys.readouterr().out == ""


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=5))
def test_columns_are_aligned_and_nothing_is_lost(rows: list[tuple[str, str, str]]) -> None:
    """Without a terminal, rows are complete and columns are aligned."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(click, "echo", lambda text: lines.extend(click.unstyle(text).split("\n")))
        print_table(("A", "B", "C"), rows)
    assert [tuple(line.split()) for line in lines] == [("A", "B", "C"), *rows]
    second, third = lines[0].index("B"), lines[0].index("C")
    for line, row in zip(lines[1:], rows, strict=True):
        assert line[second:].startswith(row[1])
        assert line[third:] == row[2]


def test_a_terminal_wraps_long_cells(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is cut: words move to the next line of the row, and a long one is broken."""
    monkeypatch.setattr("os.get_terminal_size", lambda _: Size())
    print_table(("A", "B"), [("x", "y" * 50), ("z", "one two three four five")])
    assert capsys.readouterr().out.splitlines() == [
        "A  B",
        "x  " + "y" * 17,
        "   " + "y" * 17,
        "   " + "y" * 16,
        "z  one two three",
        "   four five",
    ]


def test_a_terminal_narrows_the_widest_column_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and figures stay whole while a summary can be wrapped."""
    monkeypatch.setattr("os.get_terminal_size", lambda _: Size())
    print_table(("NAME", "N", "SUMMARY"), [("lenet5", "98.7%", "small and old")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["NAME    N      SUMMARY", "lenet5  98.7%  small", "               and old"]
    assert max(map(len, lines[1:])) == 22  # names cannot be narrower


class Size:
    """A terminal of 20 columns."""

    columns, lines = 20, 24


def test_the_registry_is_made_once_and_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Commands without a registry do not load plugins."""
    calls: list[bool] = []

    def build(*, strict: bool) -> Any:
        calls.append(strict)
        return object()

    monkeypatch.setattr("oraclezoo.plugins.registry.build_registry", build)
    app = App()
    app.strict = True
    assert calls == []
    assert app.registry is app.registry
    assert calls == [True]


def test_messages_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is for results."""
    say("working")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "working\n")


def test_names_are_completed_by_kind() -> None:
    """Names of the given kinds with the typed prefix are completed."""
    context = click.Context(click.Command("x"))
    parameter = click.Argument(["name"])
    assert complete_names("scheduler")(context, parameter, "lin") == ["linear"]
    assert complete_names("optimizer")(context, parameter, "lin") == []


def test_a_key_given_twice_is_named() -> None:
    """Options that are repeated, and ``--track`` beside ``-s data.track``."""
    assert options.overrides(("data.track=idx", "budget.epochs=1"), "idx")["data.track"] == "idx"
    for command, reason in (
        (("train", "tiny", "-s", "budget.epochs=1", "-s", "budget.epochs=2"), "'budget.epochs' is"),
        (("train", "tiny", "-s", "data.track=glyphs", "--track", "idx"), "data.track is set"),
        (("sweep", "tiny", "-p", "optimizer.lr=1,2", "-p", "optimizer.lr=3,4"), "-p optimizer.lr"),
        (
            ("train", "tiny", "--tracker", "jsonl", *_twice("--tracker-option", "jsonl.path=a")),
            "'jsonl.path' is set twice",
        ),
    ):
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 2
        assert reason in done.stderr
        assert "set twice" in done.stderr


def _twice(option: str, value: str) -> tuple[str, ...]:
    return (option, value, option, value)
