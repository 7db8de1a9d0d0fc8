"""The options --tracker and --tracker-option."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.commands import oraclezoo
from oraclezoo.cli._shared.options import chosen_trackers
from oraclezoo.errors import UsageError


def test_a_training_is_written_where_the_option_says(tiny_idx: Path, tmp_path: Path) -> None:
    """Two trackers log the run; a failing one is a line on stderr with exit status 0."""
    small = ["--track", "idx", "--data-dir", tiny_idx, "-s", "budget.epochs=1", "--device", "cpu"]
    small += ["-s", "budget.batch_size=16", "--out", tmp_path / "runs"]
    shared = tmp_path / "all.jsonl"
    result = oraclezoo(
        *("train", "authors-cnn", *small, "--tracker", "jsonl,tensorboard"),
        *("--tracker-option", f"jsonl.path={shared}"),
    )
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in shared.read_text().splitlines()]
    assert rows[0]["config"]["budget.epochs"] == 1
    assert rows[-1]["status"] == "done"
    blocked = oraclezoo(
        *("train", "authors-cnn", *small, "--overwrite", "--tracker", "jsonl", "--json"),
        *("--tracker-option", f"jsonl.path={shared / 'below'}"),
    )
    assert blocked.exit_code == 0, blocked.output
    assert json.loads(blocked.stdout)["data"]["status"] == "done"
    assert blocked.stderr.count("tracker oraclezoo:jsonl failed to begin") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tracker", "tensorbord"], "'tensorboard'"),
        (["--tracker", "jsonl", "--tracker-option", "jsonl.pth=x"], "'path'"),
        (["--tracker", "jsonl", "--tracker-option", "json.path=x"], "'jsonl'"),
        (["--tracker-option", "jsonl.path=x"], "add --tracker jsonl"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_trained(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    """The exit status is 2, a similar name is suggested, and no run folder is created."""
    result = oraclezoo("train", "quick", "--out", tmp_path / "runs", *arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert not (tmp_path / "runs").exists()


def test_options_go_to_the_tracker_they_name() -> None:
    """Qualified names contain a colon and dots; values are parsed as in a recipe."""
    actual = chosen_trackers(("a.b:x, jsonl", "y"), ("a.b:x.steps=3", "y.flag=true"))
    assert actual == {"a.b:x": {"steps": 3}, "jsonl": {}, "y": {"flag": True}}
    with pytest.raises(UsageError, match=r"requires --tracker"):
        chosen_trackers(("a",), ("path=3",))
