"""A folder of IDX files: roles of the files, and ``dataset.toml``."""

from __future__ import annotations

from pathlib import Path

import pytest

from oraclezoo.data.folder import FILES, About, discover, read_about
from oraclezoo.errors import DataError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_mnist_names_are_found_packed_or_not(tmp_path: Path) -> None:
    """MNIST's names take precedence over other matches."""
    usual = [f"{name}.gz" if "labels" in name else name for name in FILES.values()]
    touch(tmp_path, *usual, "old-train-images-idx3-ubyte.gz", "train-images.png")
    assert [path.name for path in discover(tmp_path).values()] == usual


@pytest.mark.parametrize(
    "pattern", ["kmnist-{}-{}-idx3-ubyte.gz", "emnist_letters_{}_{}.ubyte", "{}.{}.IDX"]
)
def test_other_names_are_found_by_their_words(pattern: str, tmp_path: Path) -> None:
    """A name must contain train or test, images or labels, and idx or ubyte."""
    names = [pattern.format(a, b) for a in ("train", "test") for b in ("images", "labels")]
    touch(tmp_path, *names, "latest-train-notes.txt", "train-images.npz")
    assert [path.name for path in discover(tmp_path).values()] == names


def test_a_missing_or_ambiguous_file_is_named(tmp_path: Path) -> None:
    """The error has the expected name of a missing file, or all matches."""
    names = [f"{name}.gz" for name in FILES.values()]
    touch(tmp_path, *names[:3])
    with pytest.raises(DataError, match="no file with the test labels; expected t10k-labels-idx1"):
        discover(tmp_path)
    touch(tmp_path, "a-test-labels-idx1-ubyte", "b-test-labels-idx1-ubyte")
    with pytest.raises(DataError, match="match the test labels: a-test-labels-idx1-ubyte, b-test"):
        discover(tmp_path)
    touch(tmp_path, names[3], names[3].removesuffix(".gz"))
    with pytest.raises(
        DataError, match=r": t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz; keep"
    ):
        discover(tmp_path)
    with pytest.raises(DataError, match="No such file or directory"):
        discover(tmp_path / "absent")


def test_what_a_download_left_is_not_taken_for_a_file(tmp_path: Path) -> None:
    """Hidden lock files and partial downloads are ignored."""
    left = [f".{name}.gz{end}" for name in FILES.values() for end in (".lock", ".part")]
    touch(tmp_path, *left)
    with pytest.raises(DataError, match="no file with the training images"):
        discover(tmp_path)
    touch(tmp_path, *FILES.values())
    assert [path.name for path in discover(tmp_path).values()] == list(FILES.values())


def test_validation_files_are_found_by_their_names_and_in_pairs(tmp_path: Path) -> None:
    """They never match another role; one without the other is an error."""
    touch(tmp_path, *FILES.values(), "validation-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match="one image file and one label file"):
        discover(tmp_path)
    touch(tmp_path, "validation-labels-idx1-ubyte")
    actual = discover(tmp_path)
    assert actual.keys() == {*FILES, "validation images", "validation labels"}
    assert actual["validation images"].name == "validation-images-idx3-ubyte.gz"
    assert actual["training images"].name == FILES["training images"]
    touch(tmp_path, "validation-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match="validation-labels-idx1-ubyte, validation-labels"):
        discover(tmp_path)


def test_what_the_folder_says_of_itself(tmp_path: Path) -> None:
    """dataset.toml overrides the defaults."""
    assert read_about(tmp_path) == About(None, None, False)
    (tmp_path / "dataset.toml").write_text('classes = ["a", "b"]\nflip_keeps_label = true\n')
    assert read_about(tmp_path) == About(("a", "b"), None, True)
    (tmp_path / "dataset.toml").write_text(
        f'name = "yi-script"\nsource = "https://example.org/yi"\n[sha256]\n"a.gz" = "{"0" * 64}"\n'
    )
    about = read_about(tmp_path)
    assert (about.name, about.source) == ("yi-script", "https://example.org/yi")
    assert about.sha256 == {"a.gz": "0" * 64}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('class = ["a"]', "unknown key 'class'; did you mean 'classes'"),
        ("classes = 3", "'classes' must be a list of strings"),
        ('glyphs = ["a", 1]', "'glyphs' must be a list of strings"),
        ("flip_keeps_label = 1", "must be true or false"),
        ('classes = ["a", "a"]', "unique, non-empty names"),
        ('classes = ["a", ""]', "unique, non-empty names"),
        ("classes = [", "dataset.toml: "),
        ('name = "Yi Script"', "'name' must be lower-case letters"),
        ('name = "../../etc"', "'name' must be lower-case letters"),
        ("name = 3", "'name' must be lower-case letters"),
        ('name = "glyphs-3k"', "'glyphs-3k' is a built-in track"),
        ("source = 3", "'source' must be a string"),
        ("sha256 = 3", "'sha256' must be a table of digests"),
    ],
)
def test_dataset_toml_is_strict(text: str, complaint: str, tmp_path: Path) -> None:
    """Unknown keys, wrong types and invalid TOML are errors with the file name."""
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_about(tmp_path)
