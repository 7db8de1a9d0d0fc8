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


def test_other_classes_are_refused(tiny_run: Path, changed: Path) -> None:
    """Labels would mean something else."""
    (changed / "dataset.toml").write_text('classes = ["a", "b", "c", "d"]\n')
    with pytest.raises(UsageError, match="have different classes"):
        evaluate(tiny_run, data_dir=changed, device="cpu")
