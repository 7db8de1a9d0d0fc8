"""The README: its figures are those of the committed results, its code runs, its commands exist."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from oraclezoo.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_blocks_are_those_of_the_committed_measurements() -> None:
    """No figure and no output in the README was typed by hand."""
    script = runpy.run_path(str(ROOT / "benchmarks" / "readme.py"))
    assert script["fill"](README) == README


def test_the_python_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The eight lines do what they say, in an empty folder."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  # our own file
    assert len(re.findall(r"^.+$", code, re.MULTILINE)) == 8
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "my-model", "results"}


def test_every_command_and_link_is_there() -> None:
    """Commands named in the README exist, and relative links lead to files."""
    named = set(re.findall(r"(?:`|\$ |&& )oraclezoo ([a-z]+)", README))
    assert named >= {"bench", "train", "list"}
    assert named <= set(COMMANDS), named - set(COMMANDS)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
