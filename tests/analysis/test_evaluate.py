"""Evaluation of a run on data that it was not trained with."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from oraclezoo.analysis.evaluate import evaluate
from oraclezoo.cli import cli
from oraclezoo.errors import UsageError


@pytest.fixture
def changed(tiny_idx: Path, tmp_path: Path) -> Path:
    """Return a copy of the data set with one pixel changed in the training images."""
    folder = shutil.copytree(tiny_idx, tmp_path / "changed")
    path = next(path for path in folder.iterdir() if "train-images" in path.name)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:-1] + bytes([content[-1] ^ 1])))
    return folder


def test_other_data_are_scored_with_a_word(tiny_run: Path, tiny_idx: Path, changed: Path) -> None:
    """The file is named, and the JSON document has a field for it."""
    words = ["evaluate", str(tiny_run), "--device", "cpu", "--data-dir"]
    done = CliRunner().invoke(cli, [*words, str(changed)])
    assert done.exit_code == 0, done.output
    assert "is not the file that the run was trained with: scoring different data" in done.stderr
    assert "[different data from the run's]" in done.stdout
    document = json.loads(CliRunner().invoke(cli, [*words, str(changed), "--json"]).stdout)
    assert document["data"]["other_data"] is True
    same = CliRunner().invoke(cli, [*words, str(tiny_idx)])
    assert "different data" not in same.output


def test_other_data_under_another_name_are_scored_with_a_word(
    tiny_run: Path, changed: Path, tmp_path: Path
) -> None:
    """Packed or not, a file that the run was not trained with is named; export refuses it."""
    path = next(path for path in changed.iterdir() if "train-images" in path.name)
    (changed / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    words = ["--data-dir", str(changed)]
    for split in ("validation", "test"):
        done = CliRunner().invoke(
            cli,
            ["evaluate", str(tiny_run), *words, "--split", split, "--results", str(tmp_path / "r")],
        )
        assert done.exit_code == 0, done.output
        assert f"{path.stem} is not the file that the run was trained with" in done.stderr
        assert "[different data from the run's]" in done.stdout
    done = CliRunner().invoke(
        cli, ["export", str(tiny_run), "--out", str(tmp_path / "x"), "--no-timed", *words]
    )
    assert done.exit_code == 1
    assert f"{path.stem} is not the file that the model was trained with" in done.stderr


def test_other_classes_are_refused(tiny_run: Path, changed: Path) -> None:
    """Labels would mean something else."""
    (changed / "dataset.toml").write_text('classes = ["a", "b", "c", "d"]\n')
    with pytest.raises(UsageError, match="have different classes"):
        evaluate(tiny_run, data_dir=changed, device="cpu")
