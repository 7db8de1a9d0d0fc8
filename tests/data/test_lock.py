"""Data locks and remote copies: digests, counts, what a recipe requires, push and pull."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.commands import oraclezoo, train
from oraclezoo.data import tracks
from oraclezoo.data.folder import ABOUT, FILES
from oraclezoo.data.idx import write_idx
from oraclezoo.data.lock import check_files, check_lock, lock_dataset
from oraclezoo.data.remote import pull, push
from oraclezoo.errors import DataError, DownloadError, RecipeError, UsageError
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.data_lock import DataLock

TRAINING, LABELS = FILES["training images"], FILES["training labels"]


@pytest.fixture
def bones(tmp_path: Path) -> Path:
    """A folder of three classes with 20 training and 10 test images each."""
    folder, rng = tmp_path / "bones", np.random.default_rng(0)
    folder.mkdir()
    for part, count in (("training", 20), ("test", 10)):
        labels = np.repeat(np.arange(3), count).astype(np.uint8)
        images = rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        write_idx(folder / FILES[f"{part} images"], images)
        write_idx(folder / FILES[f"{part} labels"], labels)
    (folder / ABOUT).write_text('classes = ["x", "y", "z"]\nsource = "a museum"\n')
    return folder


def locked(folder: Path, remote: str = "") -> DataLock:
    """Return the lock of a folder of IDX files."""
    return lock_dataset(tracks.idx(data_dir=folder), folder, track="idx", remote=remote)


def other_images(folder: Path) -> None:
    """Replace the training images by others of the same size."""
    images = np.zeros((60, 28, 28), np.uint8)
    images[:, 3] = 200
    write_idx(folder / TRAINING, images)


def test_a_lock_states_files_and_counts_and_reads_back_equal(bones: Path, tmp_path: Path) -> None:
    """It covers all files, ``dataset.toml`` too; its digest covers those that are learned from."""
    lock = locked(bones)
    assert set(lock.files) == {*FILES.values(), ABOUT}
    assert set(lock.learning) == {TRAINING, LABELS}
    assert lock.source == "a museum"
    assert {name: split.images for name, split in lock.splits.items()} == {
        "train": 54,
        "validation": 6,
        "test": 30,
    }
    assert lock.splits["train"].per_class == (18, 18, 18)
    path = tmp_path / "bones.lock.toml"
    path.write_text(lock.to_toml())
    assert DataLock.read(path) == lock
    other_images(bones)
    assert locked(bones).digest != lock.digest


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('track = "idx"', 'track = "idx"\nlearning = 3', "data lock"),
        ("data-lock/1", "data-lock/9", "schema is"),
        ('classes = ["x"', 'classes = ["w"', "digest does not match"),
        ("[files.train", '[files."../x"]\nsha256 = "a"\n[files.train', "data lock"),
        ("size_bytes = ", "size_bytes = -", "positive integer"),
        ('remote = ""', 'remote = "ssh://host/x"', "is not a URL"),
        ('remote = ""', 'remote = "s3://user:word@host/x"', "without credentials"),
        ('track = "idx"\n', "", "'track' is missing"),
    ],
)
def test_an_invalid_lock_is_refused(
    bones: Path, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    """Each message names the file."""
    text = locked(bones).to_toml()
    assert old in text
    path = tmp_path / "bones.lock.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=reason) as caught:
        DataLock.read(path)
    assert str(path) in str(caught.value)


def test_a_recipe_requires_the_data_of_its_lock(bones: Path, tmp_path: Path) -> None:
    """The recipe keeps the lock's digest, so that its hash does not depend on a path."""
    lock = locked(bones)
    path = tmp_path / "recipes" / "bones.lock.toml"
    path.parent.mkdir()
    path.write_text(lock.to_toml())
    text = Recipe.load("authors-cnn").to_toml()
    recipe_file = path.with_name("mine.toml")
    recipe_file.write_text(text.replace('lock = ""', 'lock = "bones.lock.toml"'))
    recipe = Recipe.load(recipe_file)
    assert recipe.data.lock == lock.digest
    assert Recipe.load("authors-cnn", {"data.lock": str(path)}).data.lock == lock.digest
    assert Recipe.from_dict(recipe.to_dict()).data.lock == lock.digest
    check_lock(tracks.idx(data_dir=bones), lock.digest)
    other_images(bones)
    with pytest.raises(DataError, match=r"not those of the recipe's data\.lock"):
        check_lock(tracks.idx(data_dir=bones), lock.digest)
    path.unlink()
    with pytest.raises(RecipeError, match=r"mine\.toml: data lock .*bones\.lock\.toml"):
        Recipe.load(recipe_file)
    with pytest.raises(UsageError, match="pass the digest"):
        Recipe.from_dict({**recipe.to_dict(), "data": {"lock": "bones.lock.toml"}})


def test_train_refuses_other_data_than_the_lock(bones: Path, tmp_path: Path) -> None:
    """Nothing is trained; the message says how to find the difference."""
    assert oraclezoo("data", "lock", bones).exit_code == 0
    lock = bones.with_name("bones.lock.toml")
    more = ("-s", f"data.lock={lock}", "--out", str(tmp_path / "runs"))
    first = train(bones, *more)
    assert first.exit_code == 0, first.output
    other_images(bones)
    second = train(bones, *more, "--overwrite")
    assert second.exit_code == 1
    assert "not those of the recipe's data.lock" in second.output
    assert "data verify" in second.output


def test_the_commands_lock_push_pull_and_verify(bones: Path, tmp_path: Path) -> None:
    """A second push and pull copy nothing; a changed file is named and fetched again."""
    lock, remote, copy = bones.with_name("bones.lock.toml"), tmp_path / "remote", tmp_path / "copy"
    written = oraclezoo("data", "lock", bones)
    assert written.exit_code == 0, written.output
    assert written.stdout == f"{lock}\n"
    assert oraclezoo("data", "push", lock, remote).stdout.startswith("5 of 5 files uploaded")
    assert oraclezoo("data", "push", lock, remote).stdout.startswith("0 of 5 files uploaded")
    pulled = oraclezoo("data", "pull", lock, remote, "--out", copy)
    assert (pulled.exit_code, pulled.stdout) == (0, f"{copy}\n")
    assert (
        "0 of 5 files downloaded" in oraclezoo("data", "pull", lock, remote, "--out", copy).output
    )
    assert oraclezoo("data", "verify", copy, "--lock", lock).exit_code == 0
    other_images(copy)
    verified = oraclezoo("data", "verify", copy, "--lock", lock)
    assert verified.exit_code == 3
    assert f"{TRAINING} (mismatch)" in verified.output
    refused = oraclezoo("data", "lock", copy, "--out", lock)
    assert refused.exit_code == 1
    assert f"{TRAINING}: changed" in refused.output
    assert (
        "1 of 5 files downloaded" in oraclezoo("data", "pull", lock, remote, "--out", copy).output
    )
    assert (copy / TRAINING).read_bytes() == (bones / TRAINING).read_bytes()
    assert oraclezoo("data", "pull", lock).exit_code == 2  # no remote


def test_generated_data_need_no_lock(tmp_path: Path) -> None:
    """They do not come from files in the folder."""
    result = oraclezoo("data", "lock", tmp_path, "--track", "glyphs-3k")
    assert result.exit_code == 1
    assert "generated data need no lock" in result.output


def test_push_refuses_a_file_that_changed_since(bones: Path, tmp_path: Path) -> None:
    """The remote holds only what the lock states."""
    lock = locked(bones)
    other_images(bones)
    with pytest.raises(DataError, match="not the file in the lock"):
        push(lock, bones, str(tmp_path / "remote"))
    assert not (tmp_path / "remote").exists()


@pytest.mark.parametrize("damage", ["longer", "shorter", "other", "absent"])
def test_pull_keeps_a_file_until_the_new_one_is_verified(
    bones: Path, tmp_path: Path, damage: str
) -> None:
    """A damaged copy is an error, and the local file stays."""
    lock, remote, copy = locked(bones), tmp_path / "remote", tmp_path / "copy"
    push(lock, bones, str(remote))
    sha256 = lock.files[LABELS].sha256
    stored = remote / sha256[:2] / sha256
    content = stored.read_bytes()
    changed = {
        "longer": content * 2,
        "shorter": content[:-1],
        "other": content[:-1] + bytes([content[-1] ^ 1]),
    }
    stored.write_bytes(changed[damage]) if damage != "absent" else stored.unlink()
    copy.mkdir()
    (copy / LABELS).write_bytes(b"mine")
    with pytest.raises(DownloadError, match="push"):
        pull(lock, copy, str(remote))
    assert (copy / LABELS).read_bytes() == b"mine"
    assert {check.name: check.status for check in check_files(lock, copy)}[LABELS] == "mismatch"


def test_a_missing_package_is_named(bones: Path, tmp_path: Path) -> None:
    """fsspec knows protocols whose packages are separate."""
    with pytest.raises(DataError, match="pip install adlfs"):
        pull(locked(bones), tmp_path / "copy", "az://container/bones")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A local S3 server; yields the URL of a bucket."""
    server = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("museum")
    yield "s3://museum/bones"
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def test_push_and_pull_by_s3(bones: Path, tmp_path: Path, s3: str) -> None:
    """The remote in the lock is used; a missing bucket is one line."""
    path, copy = tmp_path / "bones.lock.toml", tmp_path / "copy"
    path.write_text(locked(bones, s3).to_toml())
    pushed = oraclezoo("data", "push", path, **os.environ)
    assert pushed.stdout.startswith("5 of 5 files uploaded"), pushed.output
    assert oraclezoo("data", "push", path, **os.environ).stdout.startswith("0 of 5")
    pulled = oraclezoo("data", "pull", path, "--out", copy, **os.environ)
    assert pulled.exit_code == 0, pulled.output
    assert (copy / TRAINING).read_bytes() == (bones / TRAINING).read_bytes()
    absent = oraclezoo("data", "pull", path, "s3://absent/bones", "--out", tmp_path / "c2")
    assert absent.exit_code == 1
    assert "s3://absent/bones: " in absent.stderr
