"""Class and split of each scan, class names and their order."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.data.scans.layout import Shares, arrange, name_classes, split_of
from oraclezoo.data.scans.sources import ScanFile, is_hidden, natural, printable
from oraclezoo.data.splits import by_image_hash
from oraclezoo.errors import DataError


def located(*names: str) -> dict[str, tuple[str | None, str]]:
    """Return split and class folder by name, for the files that have one."""
    layout = arrange([ScanFile(name, name, 0) for name in names])
    assert len(layout.scans) + len(layout.rejected) == len(names)
    return {scan.file.name: (scan.split, scan.folder) for scan in layout.scans}


def test_each_folder_is_a_class() -> None:
    """A class contains everything below its folder; files next to the folders have no class."""
    assert located("a/1.png", "b/deep/er/1.png", "stray.png") == {
        "a/1.png": (None, "a"),
        "b/deep/er/1.png": (None, "b"),
    }


def test_folders_around_the_layout_are_passed_through() -> None:
    """Nested enclosing folders are skipped, also with stray files in them."""
    assert located("x/y/a/1.png", "x/y/b/1.png", "x/preview.png") == {
        "x/y/a/1.png": (None, "a"),
        "x/y/b/1.png": (None, "b"),
    }
    assert located("x/train/a/1.png", "x/test/a/1.png") == {
        "x/train/a/1.png": ("train", "a"),
        "x/test/a/1.png": ("test", "a"),
    }


def test_side_folders_are_such_only_together() -> None:
    """train/ alone encloses classes; with images directly in them, both are classes."""
    assert located("train/a/1.png", "train/b/1.png") == {
        "train/a/1.png": (None, "a"),
        "train/b/1.png": (None, "b"),
    }
    assert located("train/1.png", "test/1.png", "bus/1.png") == {
        "train/1.png": (None, "train"),
        "test/1.png": (None, "test"),
        "bus/1.png": (None, "bus"),
    }
    assert located("Train/a/1.png", "val/a/1.png", "notes/a/1.png", "Train/1.png") == {
        "Train/a/1.png": (None, "Train"),
        "val/a/1.png": (None, "val"),
        "notes/a/1.png": (None, "notes"),
        "Train/1.png": (None, "Train"),
    }
    assert located("Train/a/1.png", "val/a/1.png", "notes/a/1.png") == {
        "Train/a/1.png": ("train", "a"),
        "val/a/1.png": ("validation", "a"),
    }


def test_classes_are_named_in_natural_order() -> None:
    """Folder 2 precedes 10; a single non-ASCII character is a glyph."""
    layout = arrange([ScanFile(f"{name}/1.png", name, 0) for name in ("10", "2", "木", "a")])
    names = name_classes(layout, "folders")
    assert names.names == ("2", "10", "a", "木")
    assert names.glyphs == ("", "", "", "木")


def test_more_classes_than_a_byte_can_tell_are_refused() -> None:
    """256 classes are accepted, 257 are not."""
    files = [ScanFile(f"{number}/1.png", str(number), 0) for number in range(257)]
    assert len(name_classes(arrange(files[:256]), "folders").names) == 256
    with pytest.raises(DataError, match="257 class folders; IDX labels support at most 256"):
        name_classes(arrange(files), "folders")


@given(st.lists(st.integers(0, 10**20), unique=True), st.sampled_from(["", "img", "7-"]))
def test_numbers_in_names_are_sorted_by_value(numbers: list[int], prefix: str) -> None:
    """Numbers of any length are compared by value."""
    names = [f"{prefix}{number}.png" for number in numbers]
    assert sorted(names, key=natural) == [f"{prefix}{number}.png" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8), unique=True))
def test_natural_order_is_an_order_of_all_names(names: list[str]) -> None:
    """Different names never have equal keys."""
    assert len({natural(name) for name in names}) == len(names)
    assert sorted(names, key=natural) == sorted(set(names), key=natural)


@given(st.text())
def test_printable_names_are_one_line_of_utf8(name: str) -> None:
    """Also for surrogates from undecodable file names."""
    shown = printable(name + "\udce9")
    assert shown.isprintable()
    assert shown.encode()
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("a/.x.png", True),
        (".git/a/x.png", True),
        ("__MACOSX/a/x.png", True),
        ("a/x.png", False),
        ("a/Thumbs.db", True),
        ("./a/x.png", False),
    ],
)
def test_what_systems_leave_about_is_hidden(name: str, hidden: bool) -> None:
    """Hidden and system files, and no others."""
    assert is_hidden(name) == hidden


@given(st.binary(max_size=40), st.integers(0, 60), st.integers(0, 39), st.integers(0, 30))
def test_a_larger_share_takes_images_from_training_only(
    image: bytes, validation: int, test: int, more: int
) -> None:
    """A held-out split grows with its share and takes nothing from the other one."""
    digest = hashlib.sha256(image).hexdigest()
    split = split_of(digest, Shares(validation, test))
    wider = split_of(digest, Shares(validation, min(test + more, 100 - validation)))
    assert wider == split or (split, wider) == ("train", "test")
    if validation == 10:
        array = np.frombuffer(image, np.uint8)[None, :, None]
        assert (split == "validation") == bool(by_image_hash(array)[0])


def test_the_splits_have_about_the_requested_shares() -> None:
    """Within four standard deviations for 20,000 images."""
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(20_000)]
    assigned = [split_of(digest, Shares(25, 15)) for digest in digests]
    assert abs(assigned.count("validation") - 5000) < 4 * (20_000 * 0.25 * 0.75) ** 0.5
    assert abs(assigned.count("test") - 3000) < 4 * (20_000 * 0.15 * 0.85) ** 0.5
