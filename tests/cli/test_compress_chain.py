"""``oraclezoo compress``: streams, exit statuses and output folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oraclezoo.cli import cli

QUICK = ["--trials", "1", "--rounds", "1", "--device", "cpu"]


def compress(*arguments: str | Path) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["compress", *map(str, arguments), *QUICK])


def test_nothing_within_exits_with_3_and_looser_bounds_go_on(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """The error has the figures; resuming with looser limits gives a table or a document."""
    out = tmp_path / "out"
    failed = compress(tiny_run, "--out", out, "--size", "0.01", "--data-dir", tiny_idx)
    assert failed.exit_code == 3, failed.output
    assert failed.stdout == ""
    assert "nearest is" in failed.stderr.splitlines()[-1]
    assert not (out / "model.json").exists()
    looser = ("--size", "1", "--data-dir", tiny_idx, "--resume")
    result = compress(tiny_run, "--out", out, *looser)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == str(out)
    assert lines[1].split()[:3] == ["TRIAL", "MACS", "PRECISION"]
    assert "the best" in result.stdout
    assert "trial 1" not in result.stderr, "it was kept"
    document = json.loads(
        compress(tiny_run, "--out", out, *looser[:4], "--overwrite", "--json").stdout
    )
    assert document["schema"] == "oraclezoo/compress/1"
    assert document["data"]["receipt"]["step"] == "compress"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ((), "--latency RATIO, --size RATIO"),
        (("--latency", "1.5"), "--latency"),
        (("--size", "0"), "--size"),
        (("--size", "0.5", "--sensitivity", "much"), "--sensitivity"),
        (("--size", "0.5", "--resume", "--overwrite"), "--resume or --overwrite"),
    ],
)
def test_wrong_usage_exits_with_2(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path, options: tuple[str, ...], word: str
) -> None:
    """One line states the fault, without a traceback."""
    result = compress(tiny_run, "--out", tmp_path / "out", *options, "--data-dir", tiny_idx)
    assert result.exit_code == 2, result.output
    assert word in result.stderr
    assert not (tmp_path / "out").exists()
