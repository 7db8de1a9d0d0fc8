"""The built-in tracks, opened by their factories."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from oraclezoo.data import download, tracks, upstream
from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.dataset import SPLITS, ArrayDataset, digests
from oraclezoo.data.idx import write_idx
from oraclezoo.data.splits import by_image_hash
from oraclezoo.data.upstream import FILES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from oraclezoo.errors import DataError, UsageError

PINNED = {
    "train": "e1cb3db121ab413f4d42def6fb70dfc4e53477b7a9b96ea7fab98adf410c4a1f",
    "validation": "febce2623fa83c5c1f4ab1c102aa98611b56d7bd7bead101bd067c967ede49c2",
    "test": "1cbf91f879feb980ff71d6735cc8adc3d534dcfeb24824449551413c1db84198",
}
"""SHA-256 of the image bytes of each split of ``oracle-mnist-3k``: no result survives a change."""


def images_of(dataset: ArrayDataset) -> dict[str, list[bytes]]:
    return {name: [i.tobytes() for i in dataset.split(name).images] for name in SPLITS}


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four noise files under the official names, with their digests in the table."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "made-up"
    folder.mkdir()
    labels = {TRAIN_LABELS: np.arange(500) % 10, TEST_LABELS: np.arange(3000) % 10}
    for name, values in labels.items():
        write_idx(folder / name, values.astype(np.uint8))
    for name, count in ((TRAIN_IMAGES, 500), (TEST_IMAGES, 3000)):
        write_idx(folder / name, rng.integers(0, 256, (count, 28, 28), np.uint8))
    for name in FILES:
        digest = upstream.digest(folder / name, "git-blob")
        record = upstream.UpstreamFile(name, "git-blob", digest, 10_000_000, None)
        monkeypatch.setitem(FILES, name, record)
    return folder


@pytest.mark.realdata
def test_3k_is_the_track_that_results_rest_on(oracle_dir: Path) -> None:
    """1,800 / 200 / 1,000 images, balanced by class and always the same."""
    dataset = tracks.oracle_mnist_3k(data_dir=oracle_dir)
    for name, per_class in (("train", 180), ("validation", 20), ("test", 100)):
        split = dataset.split(name)
        assert split.images.shape == (10 * per_class, 28, 28)
        assert (split.images.dtype.name, split.labels.dtype.name) == ("uint8", "int64")
        assert np.bincount(split.labels).tolist() == [per_class] * 10
        assert hashlib.sha256(split.images.tobytes()).hexdigest() == PINNED[name]
    assert (dataset.classes, dataset.glyphs) == (CLASSES, GLYPHS)
    assert dataset.flip_keeps_label
    assert not dataset.synthetic
    assert dict(dataset.sha256) == {name: FILES[name].digest for name in (TEST_IMAGES, TEST_LABELS)}


@pytest.mark.realdata
def test_3k_leaves_nothing_out_and_nothing_twice(oracle_dir: Path) -> None:
    """The three splits are disjoint and make up the whole file."""
    parts = images_of(tracks.oracle_mnist_3k(data_dir=oracle_dir))
    assert sum(map(len, parts.values())) == 3000
    assert len(set().union(*parts.values())) == 3000


def test_the_full_track_divides_training_by_hash(made_up: Path) -> None:
    """Validation follows the hash rule; test is the official test file."""
    dataset = tracks.oracle_mnist(data_dir=made_up)
    parts = images_of(dataset)
    assert len(parts["train"]) + len(parts["validation"]) == 500
    assert by_image_hash(dataset.split("validation").images).all()
    assert not by_image_hash(dataset.split("train").images).any()
    assert len(parts["test"]) == 3000
    assert len(set().union(*parts.values())) == 3500
    assert set(dataset.sha256) == set(FILES)


def test_training_does_not_open_the_test_file(made_up: Path) -> None:
    """Training and validation images load without the test file."""
    dataset = tracks.oracle_mnist(data_dir=made_up)
    assert dict(dataset.sha256) == {}
    (made_up / TEST_IMAGES).unlink()
    (made_up / TEST_LABELS).unlink()
    assert len(dataset.split("train").labels) > 0
    assert len(dataset.split("validation").labels) > 0
    assert set(dataset.sha256) == {TRAIN_IMAGES, TRAIN_LABELS}
    with pytest.raises(DataError, match=TEST_IMAGES):
        dataset.split("test")


@pytest.mark.parametrize("track", [tracks.oracle_mnist, tracks.oracle_mnist_3k])
def test_altered_files_do_not_pass_as_the_track(
    track: Callable[..., ArrayDataset], made_up: Path
) -> None:
    """A changed pixel raises DataError when the split is read."""
    images = np.zeros((3000, 28, 28), np.uint8)
    write_idx(made_up / TEST_IMAGES, images)
    dataset = track(data_dir=made_up)
    with pytest.raises(DataError, match="not the published Oracle-MNIST file"):
        dataset.split("test")


def test_a_missing_file_is_named_at_once(made_up: Path) -> None:
    """Opening the track reports a file that is missing from an explicit folder."""
    (made_up / TRAIN_IMAGES).unlink()
    with pytest.raises(DataError, match=f"missing {TRAIN_IMAGES}\n") as caught:
        tracks.oracle_mnist(data_dir=made_up)
    assert "omit the data folder" in str(caught.value)
    assert len(tracks.oracle_mnist_3k(data_dir=made_up).split("train").labels) == 1800


def test_a_split_is_read_once_and_others_do_not_exist(made_up: Path) -> None:
    """Splits are cached; an unknown name is a UsageError."""
    dataset = tracks.oracle_mnist_3k(data_dir=made_up)
    assert dataset.split("train") is dataset.split("train")
    with pytest.raises(UsageError, match="unknown split 'tset'; did you mean 'test'"):
        dataset.split("tset")


def test_generated_tracks_have_the_sizes_of_the_real_ones() -> None:
    """glyphs-3k is balanced, disjoint, synthetic, and records its generator."""
    dataset = tracks.glyphs_3k(data_dir=None)
    assert list(dataset.sha256) == ["generated"]
    parts = images_of(dataset)
    assert {name: len(images) for name, images in parts.items()} == {
        "train": 1800,
        "validation": 200,
        "test": 1000,
    }
    for name in SPLITS:
        assert len(set(np.bincount(dataset.split(name).labels).tolist())) == 1
    assert len(set().union(*parts.values())) == 3000
    assert dataset.synthetic
    assert dataset.flip_keeps_label
    assert set(dataset.sha256) == {"generated", *(f"generated {name}" for name in SPLITS)}


def test_the_large_generated_track_has_the_official_class_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """glyphs: 27,222 images for training and validation, with the class counts of the real ones."""
    requests = []
    monkeypatch.setattr(tracks, "open_generated", lambda parts, _: requests.append(parts))
    tracks.glyphs(data_dir=None)
    (parts,) = requests
    both = np.add(parts["train"].counts, parts["validation"].counts)
    assert both.tolist() == [2433, 2765, 2668, 2614, 2610, 2328, 2710, 2360, 3335, 3399]
    assert both.sum() == 27_222
    assert parts["validation"].counts == tuple((both // 10).tolist())
    assert parts["test"].counts == (300,) * 10
    assert len({part.seed for part in parts.values()}) == 3


def own(folder: Path, size: tuple[int, int] = (6, 6), num_classes: int = 3) -> Path:
    """Write a small data set with MNIST's file names."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(2)
    for part, count in (("train", 20 * num_classes), ("t10k", 10)):
        write_idx(
            folder / f"{part}-images-idx3-ubyte.gz",
            rng.integers(0, 256, (count, *size), np.uint8),
        )
        labels = (np.arange(count) % num_classes).astype(np.uint8)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


def test_own_files_are_a_track(tmp_path: Path) -> None:
    """Validation is a tenth of each class; classes are numbered; flips do not keep the label."""
    dataset = tracks.idx(data_dir=own(tmp_path))
    assert np.bincount(dataset.split("validation").labels).tolist() == [2, 2, 2]
    assert np.bincount(dataset.split("train").labels).tolist() == [18, 18, 18]
    assert dataset.split("test").images.shape == (10, 6, 6)
    parts = images_of(dataset)
    assert len(set().union(*parts.values())) == 70
    assert dataset.classes == ("0", "1", "2")
    assert dataset.glyphs == ("", "", "")
    assert not dataset.flip_keeps_label
    assert not dataset.synthetic
    assert len(dataset.sha256) == 4


def test_own_validation_files_are_the_validation(tmp_path: Path) -> None:
    """Training is then used completely; the image sizes must match."""
    folder = own(tmp_path)
    trained = len(tracks.idx(data_dir=folder).split("train").labels)
    held_out = np.arange(6 * 36, dtype=np.uint8).reshape(6, 6, 6)
    write_idx(folder / "validation-images-idx3-ubyte.gz", held_out)
    write_idx(folder / "validation-labels-idx1-ubyte.gz", np.arange(6, dtype=np.uint8) % 3)
    dataset = tracks.idx(data_dir=folder)
    assert len(dataset.split("train").labels) > trained
    assert (dataset.split("validation").images == held_out).all()
    assert len(dataset.sha256) == 4
    write_idx(folder / "validation-images-idx3-ubyte.gz", np.ones((6, 5, 5), np.uint8))
    with pytest.raises(
        DataError, match="validation images are 5 x 5 pixels, but training images are 6 x 6"
    ):
        tracks.idx(data_dir=folder).split("validation")


def test_own_names_come_from_dataset_toml(tmp_path: Path) -> None:
    """It sets names, glyphs and the flip rule; a named class may have no image."""
    own(tmp_path)
    (tmp_path / "dataset.toml").write_text(
        'classes = ["o", "ki", "su", "tsu"]\nglyphs = ["お", "き", "す", "つ"]\n'
        "flip_keeps_label = true\n",
        encoding="utf-8",
    )
    dataset = tracks.idx(data_dir=tmp_path)
    assert dataset.classes == ("o", "ki", "su", "tsu")
    assert dataset.glyphs == ("お", "き", "す", "つ")
    assert dataset.flip_keeps_label


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('classes = ["a", "b"]', "2 classes, but labels go up to 2"),
        ('glyphs = ["a"]', "1 glyphs for 3 classes"),
    ],
)
def test_names_must_fit_the_labels(text: str, complaint: str, tmp_path: Path) -> None:
    """Too few names or glyphs raise DataError when the track is opened."""
    (own(tmp_path) / "dataset.toml").write_text(text)
    with pytest.raises(DataError, match=complaint):
        tracks.idx(data_dir=tmp_path)


def test_own_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """No folder, oblong or large images, one class, or a test split of another size."""
    with pytest.raises(DataError, match="requires the folder of your IDX files"):
        tracks.idx(data_dir=None)
    with pytest.raises(DataError, match="6 x 9 pixels; pad them to squares, 9 x 9"):
        tracks.idx(data_dir=own(tmp_path / "a", (6, 9))).split("train")
    with pytest.raises(DataError, match="513 x 513 pixels; resize them"):
        tracks.idx(data_dir=own(tmp_path / "b", (513, 513))).split("train")
    with pytest.raises(DataError, match="all training labels are 0"):
        tracks.idx(data_dir=own(tmp_path / "c", num_classes=1))
    folder = own(tmp_path / "d")
    write_idx(folder / "t10k-images-idx3-ubyte.gz", np.zeros((10, 7, 7), np.uint8))
    with pytest.raises(
        DataError, match="test images are 7 x 7 pixels, but training images are 6 x 6"
    ):
        tracks.idx(data_dir=folder).split("test")
    write_idx(folder / "t10k-labels-idx1-ubyte", np.full(10, 3, np.uint8))
    with pytest.raises(DataError, match="label 3 at index 0 is out of range"):
        tracks.idx(data_dir=folder).split("test")
    write_idx(folder / "train-images-idx3-ubyte.gz", np.zeros((9, 6, 6), np.uint8))
    write_idx(folder / "train-labels-idx1-ubyte", (np.arange(9) % 3).astype(np.uint8))
    with pytest.raises(DataError, match="no class has ten training images"):
        tracks.idx(data_dir=folder).split("validation")


def test_without_data_or_network_the_error_names_the_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of an offline machine without data lists the alternatives."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    monkeypatch.setenv("ORACLEZOO_DATA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download.time, "sleep", lambda _: None)  # the pauses between attempts
    with pytest.raises(DataError, match="--track glyphs-3k, which needs no download"):
        tracks.oracle_mnist_3k(data_dir=None)


@pytest.mark.parametrize("earlier", [[TEST_LABELS], [TEST_IMAGES, TEST_LABELS], [TRAIN_IMAGES]])
def test_files_of_two_uploads_are_refused(
    earlier: list[str], made_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as a user's own track, where their labels would be wrong in silence."""
    for name in earlier:
        blob = upstream.digest(made_up / name, "git-blob")
        record = upstream.UpstreamFile(name, "sha256", "0" * 64, 1, None, earlier_blob=blob[:8])
        monkeypatch.setitem(FILES, name, record)
    dataset = tracks.idx(data_dir=made_up)
    with pytest.raises(DataError, match=r"files of two uploads.*2022-05-13.*2022-05-19") as caught:
        digests(dataset, *SPLITS)
    assert "different orders" in str(caught.value)


def test_an_official_file_beside_an_unknown_one_is_reported(made_up: Path) -> None:
    """Unpacked images of the earlier upload, for instance, have no known digest."""
    said: list[str] = []
    digests(tracks.idx(data_dir=made_up, progress=said.append), *SPLITS)
    assert said == []
    images = made_up / TEST_IMAGES
    (made_up / images.stem).write_bytes(gzip.decompress(images.read_bytes()))
    images.unlink()
    digests(tracks.idx(data_dir=made_up, progress=said.append), *SPLITS)
    (text,) = said
    assert text.startswith(
        f"{TEST_LABELS} is Oracle-MNIST's of 2022-05-19, but {images.stem} is no"
    )
    assert "images in different orders" in text


def test_files_of_the_earlier_upload_alone_are_a_track(
    made_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four in the same order are consistent."""
    for name in FILES:
        blob = upstream.digest(made_up / name, "git-blob")
        record = upstream.UpstreamFile(name, "sha256", "0" * 64, 1, None, earlier_blob=blob[:8])
        monkeypatch.setitem(FILES, name, record)
    dataset = tracks.idx(data_dir=made_up)
    assert sum(len(dataset.split(split).labels) for split in SPLITS) == 3500
    with pytest.raises(DataError, match="upload of 2022-05-13"):
        tracks.oracle_mnist(data_dir=made_up).split("test")


@pytest.mark.realdata
def test_real_images_with_labels_of_another_upload_are_refused(
    oracle_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real test files as a training part; the labels stand for those of the earlier upload."""
    for part in ("train", "t10k"):
        for name in (TEST_IMAGES, TEST_LABELS):
            (tmp_path / name.replace("t10k", part)).symlink_to(oracle_dir / name)
    assert len(tracks.idx(data_dir=tmp_path).split("test").labels) == 3000
    blob = upstream.digest(oracle_dir / TEST_LABELS, "git-blob")
    record = upstream.UpstreamFile(TEST_LABELS, "sha256", "0" * 64, 1, None, earlier_blob=blob[:8])
    monkeypatch.setitem(FILES, TEST_LABELS, record)
    with pytest.raises(DataError, match="files of two uploads"):
        tracks.idx(data_dir=tmp_path).split("test")
