"""Documents from strangers: what cannot be used is a ValueError with a reason."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from oraclezoo import documents

DIGITS = "9" * 400


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"[a]\nb = {DIGITS}", "a.b has more than 63 bits"),
        (f"a = [0, {DIGITS}]", r"a\[1\] has more than 63 bits"),
        (f"[b]\na.c = {'9' * 5000}", "a.c has more than 63 bits"),
        ("a = " + "[" * 200 + "]" * 200, "nested"),
        ("a = " + "[" * 20_000, "nested too deeply"),
        ("a = ", "."),
    ],
)
def test_toml_that_cannot_be_used_is_refused_with_the_key(text: str, reason: str) -> None:
    """Numbers that fit into no array, and nesting that would exhaust the stack."""
    with pytest.raises(ValueError, match=reason):
        documents.parse_toml(text)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [101, 500, 100_000])
def test_deeply_nested_json_is_refused(opening: str, depth: int) -> None:
    """Whether or not Python's own parser still reads it."""
    closing = {"[": "]", '{"a":': "}"}[opening]
    with pytest.raises(ValueError, match="nested"):
        documents.parse_json(opening * depth + "0" + closing * depth)


def test_ordinary_documents_are_read(tmp_path: Path) -> None:
    """Values at the limits pass."""
    value = {"a": [documents.MAX_INTEGER, -documents.MAX_INTEGER, 1e300], "b": {"c": None}}
    path = tmp_path / "file.json"
    path.write_text(json.dumps(value))
    assert documents.read_json(path) == value
    (tmp_path / "file.toml").write_text("[a]\nb = 1\n")
    assert documents.read_toml(tmp_path / "file.toml") == {"a": {"b": 1}}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    """Nobody writes to it."""
    os.mkfifo(tmp_path / "model.json")
    with pytest.raises(OSError, match="not a regular file"):
        documents.read_json(tmp_path / "model.json")


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """Without reading all of it."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="larger than 64 MiB"):
        documents.read_file(tmp_path / "large")


def test_rows_end_at_line_feeds_only(tmp_path: Path) -> None:
    """U+2028 and others are part of a JSON string; torn lines and other values are skipped."""
    path = tmp_path / "journal.jsonl"
    rows = [{"text": f"a{separator}b"} for separator in "\u2028\u2029\u0085\x0b\x0c\x1c"]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join([*lines, '{"torn": ', "3", ""]), encoding="utf-8", newline="\n")
    assert list(documents.read_rows(path)) == rows
    assert list(documents.read_rows(tmp_path / "missing.jsonl")) == []


def test_a_row_with_an_impossible_number_is_named(tmp_path: Path) -> None:
    """It is not a torn line."""
    (tmp_path / "journal.jsonl").write_text('{"a": 1}\n{"value": ' + DIGITS + "}\n")
    with pytest.raises(ValueError, match="line 2: value has more than 63 bits"):
        list(documents.read_rows(tmp_path / "journal.jsonl"))
