"""``oraclezoo data glyphs`` and ``preview --beside``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from oraclezoo.cli import cli

MINE = """
[[class]]
name = "bar"
[[class.form]]
strokes = ["line .5 0  .5 1"]
[[class]]
name = "dash"
[[class.form]]
strokes = ["line 0 .5  1 .5"]
"""


def test_characters_of_ones_own_become_a_track(tmp_path: Path) -> None:
    """From a stroke file to a contact sheet of track idx."""
    (tmp_path / "mine.toml").write_text(MINE)
    out = tmp_path / "out"
    few = ["--train", "20", "--validation", "5", "--test", "5"]
    result = CliRunner().invoke(
        cli,
        [
            "data",
            "glyphs",
            "--out",
            str(out),
            "--classes",
            str(tmp_path / "mine.toml"),
            *few,
            "--json",
        ],
    )
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)["data"]
    assert data["classes"] == ["bar", "dash"]
    assert data["per_class"] == {"train": 20, "validation": 5, "test": 5}
    sheet = tmp_path / "sheet.png"
    shown = CliRunner().invoke(
        cli, ["data", "preview", "idx", "--out", str(sheet), "--data-dir", str(out)]
    )
    assert shown.exit_code == 0, shown.output
    assert Image.open(sheet).size[0] > 100


def test_two_tracks_are_shown_beside_each_other(tmp_path: Path) -> None:
    """Both tracks are in one picture; tracks with other classes are rejected."""
    sheet = tmp_path / "sheet.png"
    arguments = [
        "data",
        "preview",
        "glyphs-3k",
        "--out",
        str(sheet),
        "--per-class",
        "3",
        "--overwrite",
        "--beside",
    ]
    shown = CliRunner().invoke(cli, [*arguments, "glyphs-3k"])
    assert shown.exit_code == 0, shown.output
    picture = Image.open(sheet)
    assert picture.height > 10 * 56
    pixels = np.asarray(picture)
    group = 3 * 58  # three images of 28 pixels, doubled, each with a gap of 2
    second = pixels[:, -12 - group : -12]
    first = pixels[:, -22 - 2 * group : -22 - group]
    assert np.ptp(first) > 100
    assert np.array_equal(first, second)  # the same track twice
    (tmp_path / "mine.toml").write_text(MINE)
    out = tmp_path / "out"
    few = ["--train", "20", "--validation", "5", "--test", "5"]
    CliRunner().invoke(
        cli, ["data", "glyphs", "--out", str(out), "--classes", str(tmp_path / "mine.toml"), *few]
    )
    with pytest.raises(Exception, match="same classes"):
        CliRunner().invoke(
            cli, [*arguments, "idx", "--data-dir", str(out)], standalone_mode=False,
            catch_exceptions=False,
        )  # fmt: skip
