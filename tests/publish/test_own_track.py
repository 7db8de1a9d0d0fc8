"""A user's data set as a track: named in dataset.toml, identified by digests, published."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import oraclezoo as oz
from oraclezoo.errors import DataError, ResultError
from oraclezoo.measure.hardware import calibrate
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.publish.checks import check
from oraclezoo.publish.submit import PLACE, check_all, submit
from oraclezoo.ranking import ledger
from oraclezoo.result import data_key
from oraclezoo.result.own_track import OwnTrack, own_track

ABOUT = 'name = "stripes"\nsource = "https://example.org/stripes"\n'


@pytest.fixture(scope="module")
def registry() -> Registry:
    return build_registry()


@pytest.fixture(scope="module")
def data(tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stripes") / "data"
    shutil.copytree(tiny_idx, folder)
    (folder / "dataset.toml").write_text(ABOUT)
    return folder


@pytest.fixture(scope="module")
def benched(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a benchmark of five seeds on the named data set."""
    out = tmp_path_factory.mktemp("own-results")
    recipe = oz.Recipe.load("authors-cnn", {"budget.epochs": 1, "budget.batch_size": 16})
    oz.bench(
        recipe, track="idx", data_dir=data, device="cpu", out=out / "results", runs=out / "runs"
    )
    path = one(out / "results")
    document = json.loads(path.read_text())  # test jobs state a constant instead of measuring
    document["hardware"]["calibration_s"] = calibrate(torch.device("cpu"), repeats=1)
    path.write_text(json.dumps(document))
    return out / "results"


@pytest.fixture
def results(benched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(benched, tmp_path / "results"))


def one(folder: Path) -> Path:
    (path,) = folder.glob("*.json")
    return path


def test_a_named_data_set_is_a_track_of_its_own(
    results: Path, registry: Registry, tmp_path: Path
) -> None:
    """Every rule has a tick, the record is submitted, and the leaderboard names it."""
    path = one(results)
    assert path.name.startswith("idx-stripes-authors-cnn-")
    checked = check(path, registry)
    assert [finding for finding in checked.findings if not finding.ok] == []
    submission = submit(path, registry, out=tmp_path / "out")
    record = tmp_path / "out" / PLACE / "tracks" / "stripes.toml"
    assert record in submission.files
    assert check_all(tmp_path / "out" / PLACE, registry)[0].refused == ()
    assert oz.leaderboard(results).data == "stripes"
    assert "idx, closed division, data stripes" in oz.leaderboard(results).to_markdown()


def test_unpacked_files_are_a_track_too(results: Path, registry: Registry) -> None:
    """They have the names of unpacked official files, and are none."""
    path, record = one(results), results / "tracks" / "stripes.toml"
    for file in (path, record):
        file.write_text(file.read_text().replace("-ubyte.gz", "-ubyte"))
    document = json.loads(path.read_text())
    assert "train-images-idx3-ubyte" in document["track"]["data_sha256"]
    ledger.note(
        results,
        track=document["track"]["name"],
        data_key=data_key(document["track"]["data_sha256"]),
        recipe_hash=document["recipe"]["hash"],
    )
    assert [finding for finding in check(path, registry).findings if not finding.ok] == []


def test_without_a_record_the_way_out_is_named(results: Path, registry: Registry) -> None:
    """As before: digests that nobody knows. The message says how the data become a track."""
    (results / "tracks" / "stripes.toml").unlink()
    texts = [finding.text for finding in check(one(results), registry).refused]
    assert any("set name and source in dataset.toml" in text for text in texts)


def change(key: str, value: str) -> Callable[[str], str]:
    """Return an edit that sets a line of a record."""

    def edited(text: str) -> str:
        lines = [
            f"{key} = {value}" if line.startswith(f"{key} = ") else line
            for line in text.splitlines()
        ]
        return "\n".join(lines) + "\n"

    return edited


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (change("source", '""'), "state in dataset.toml, as 'source'"),
        (change("test", "41"), "track idx"),
        (change("learning", "161"), "161 images"),
        (change("labels_sha256", f'"{"0" * 64}"'), "not the track's test labels"),
        (change("classes", '"four"'), "set name and source"),
        (change("name", '"other"'), "set name and source"),
        (lambda text: text.replace('.gz" = "', '.gz" = "0', 1), "set name and source"),
        (lambda text: "[" * 10_000, "set name and source"),
    ],
)
def test_a_forged_record_is_refused(
    edit: Callable[[str], str], reason: str, results: Path, registry: Registry
) -> None:
    """Facts, digests and labels of the record must be those of the result."""
    record = results / "tracks" / "stripes.toml"
    record.write_text(edit(record.read_text()))
    texts = [finding.text for finding in check(one(results), registry).refused]
    assert any(reason in text for text in texts), texts


def test_a_name_stands_for_one_version_of_the_data(results: Path) -> None:
    """Records with a name and other digests are not overwritten."""
    record = OwnTrack.load(results / "tracks" / "stripes.toml")
    assert own_track(oz.Result.load(one(results)), results) == record
    assert record.save(results).is_file()
    changed = {**record.sha256, "train-labels-idx1-ubyte": "0" * 64}
    with pytest.raises(ResultError, match="needs a new name"):
        dataclasses.replace(record, sha256=changed).save(results)


def test_published_records_may_not_change(
    results: Path, registry: Registry, tmp_path: Path
) -> None:
    """As with results: the same bytes, and still there."""
    before = Path(shutil.copytree(results, tmp_path / "before"))
    assert not any(c.refused for c in check_all(results, registry, against=before))
    record = results / "tracks" / "stripes.toml"
    record.write_text(change("source", '"elsewhere"')(record.read_text()))
    refused = [c for c in check_all(results, registry, against=before) if c.refused]
    assert [c.path for c in refused] == [record]


def test_digests_in_dataset_toml_are_checked(data: Path, tmp_path: Path) -> None:
    """Other bytes under the same name are an error before anything is trained."""
    folder = Path(shutil.copytree(data, tmp_path / "data"))
    dataset = oz.registry().create("dataset", "idx", data_dir=folder)
    for split in ("train", "test"):
        dataset.split(split)
    digests = "".join(f'"{name}" = "{sha256}"\n' for name, sha256 in dataset.sha256.items())
    (folder / "dataset.toml").write_text(f"{ABOUT}[sha256]\n{digests}")
    assert oz.registry().create("dataset", "idx", data_dir=folder).split("train").images.size
    (folder / "dataset.toml").write_text(
        f"{ABOUT}[sha256]\n{digests.replace(digests[-10:-2], '0' * 8)}"
    )
    with pytest.raises(DataError, match=r"SHA-256 does not match dataset\.toml"):
        oz.registry().create("dataset", "idx", data_dir=folder).split("test")
