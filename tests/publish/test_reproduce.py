"""Reproduction of results: training, verdict and record."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import oraclezoo as oz
from oraclezoo.benching.recipe import Progress
from oraclezoo.cli import cli
from oraclezoo.data.corrupt import CORRUPTIONS, VERSION
from oraclezoo.data.idx import write_idx
from oraclezoo.errors import DataError, ResultError
from oraclezoo.publish.reproduce import Rerun, reproduce
from oraclezoo.ranking.load import entry_of
from oraclezoo.ranking.predictions import accuracy_of, save_predictions
from oraclezoo.ranking.reproduction.record import FOLDER, Reproduction
from oraclezoo.result import Result

TINY: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "backbone.name": "lenet5"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, tiny_idx: Path) -> Path:
    """Return the file of a genuine result of two seeds with corruption scores."""
    place = tmp_path_factory.mktemp("published")
    (result,) = oz.bench(
        [oz.Recipe.load("authors-cnn", TINY)],
        track="idx",
        data_dir=tiny_idx,
        seeds=2,
        device="cpu",
        out=place / "results",
        runs=place / "runs",
        robust=True,
    )
    assert result.path is not None
    return result.path


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """Return a copy of that result in a separate folder."""
    shutil.copytree(published.parent, tmp_path / "results")
    return tmp_path / "results" / published.name


def tamper(path: Path) -> None:
    """Edit predictions, accuracies and losses consistently."""
    result = Result.load(path)
    predictions = entry_of(result).predictions
    assert predictions is not None
    assert result.predictions is not None
    labels = predictions.labels
    classes = predictions.probabilities.shape[2]
    kept = np.tile(
        np.where(np.arange(classes) == (labels[:, None] + 1) % classes, 0.7, 0.1), (2, 1, 1)
    )
    sha256 = save_predictions(path.parent / result.predictions.file, kept, labels)
    scores = [
        dataclasses.replace(score, accuracy=accuracy_of(row, labels))
        for score, row in zip(result.seeds, kept, strict=True)
    ]
    edited = dataclasses.replace(
        result,
        seeds=tuple(scores),
        predictions=dataclasses.replace(result.predictions, sha256=sha256),
    )
    edited.save(path.parent)


def test_robustness_is_in_the_result(published: Path) -> None:
    """A robust result has each corruption at five severities per seed; the row shows the mean."""
    result = Result.load(published)
    robustness = result.robustness
    assert robustness is not None
    assert robustness.version == VERSION
    assert [one.name for one in robustness.corruptions] == list(CORRUPTIONS)
    assert {len(one.accuracy) for one in robustness.corruptions} == {2}
    table = oz.leaderboard([result])
    assert table.rows[0].corrupted_percent == pytest.approx(100 * robustness.mean_accuracy)
    assert "Corrupted, %" in table.to_markdown(robust=True)
    assert "Corrupted, %" not in table.to_markdown()


def test_kept_runs_are_scored_on_corrupted_images_when_asked(
    published: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """Corruption scores are added without training, and are not lost by a plain bench."""
    runs = tmp_path / "runs"
    events: list[Progress] = []

    def again(**options: bool) -> Result:
        (result,) = oz.bench(
            [oz.Recipe.load("authors-cnn", TINY)],
            track="idx",
            data_dir=tiny_idx,
            seeds=1,
            device="cpu",
            out=tmp_path / "results",
            runs=runs,
            report=events.append,
            **options,
        )
        return result

    assert again().robustness is None
    events.clear()
    actual = again(robust=True)
    assert actual.robustness is not None
    assert "epoch" not in [event.event for event in events]
    stated = Result.load(published).robustness
    assert stated is not None
    for one, other in zip(actual.robustness.corruptions, stated.corruptions, strict=True):
        assert one.accuracy[0] == other.accuracy[0]
    assert again(overwrite=True).id == f"{actual.id}-2"


def test_an_honest_result_comes_out_the_same(copy: Path, tiny_idx: Path, tmp_path: Path) -> None:
    """On one machine the verdict is ``same``, and the row is marked as reproduced."""
    record, path = reproduce(copy, Rerun(data_dir=tiny_idx, device="cpu", out=tmp_path / "work"))
    assert (record.verdict, record.complete) == ("same", True)
    assert record.difference == 0
    assert [pair.answers_changed for pair in record.seeds] == [0, 0]
    assert record.corrupted_difference == 0
    assert path.parent == copy.parent / FOLDER
    assert Reproduction.load(path) == record
    assert oz.leaderboard([Result.load(copy)]).rows[0].reproductions == 1
    part, _ = reproduce(
        copy, Rerun(seeds=1, data_dir=tiny_idx, device="cpu", out=tmp_path / "work")
    )
    assert (part.verdict, part.complete, len(part.seeds)) == ("same", False, 1)


def test_a_tampered_result_differs_with_status_3(
    copy: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """A consistent forgery gets the verdict ``differs``, in the record and in the row."""
    tamper(copy)
    arguments = ["reproduce", str(copy), "--data-dir", str(tiny_idx), "--device", "cpu"]
    done = CliRunner().invoke(cli, [*arguments, "--json", "--out", str(tmp_path / "work")])
    assert done.exit_code == 3, done.output
    document = json.loads(done.stdout)
    assert document["schema"] == "oraclezoo/reproduce/1"
    assert document["data"]["record"]["verdict"] == "differs"
    assert "differs: accuracy differs by" in done.stderr
    row = oz.leaderboard([Result.load(copy)]).rows[0]
    assert (row.reproductions, row.reproductions_differing) == (0, 1)


def test_other_data_is_said_before_anything_is_trained(
    copy: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """Data with one changed pixel are rejected before training."""
    other = tmp_path / "other"
    shutil.copytree(tiny_idx, other)
    write_idx(other / "t10k-images-idx3-ubyte.gz", np.zeros((40, 16, 16), np.uint8))
    with pytest.raises(DataError, match=r"the SHA-256 of t10k-images-idx3-ubyte\.gz differs"):
        reproduce(copy, Rerun(data_dir=other, device="cpu", out=tmp_path / "work"))
    assert not (tmp_path / "work").exists()


def test_a_result_that_contradicts_itself_is_not_run(copy: Path, tiny_idx: Path) -> None:
    """An accuracy that contradicts the predictions is rejected before training."""
    document = json.loads(copy.read_text())
    document["seeds"][0]["accuracy"] = 0.975
    copy.write_text(json.dumps(document))
    with pytest.raises(ResultError, match="its predictions give"):
        reproduce(copy, Rerun(data_dir=tiny_idx))
    with pytest.raises(ResultError, match="no such file"):
        reproduce("nowhere.json")
