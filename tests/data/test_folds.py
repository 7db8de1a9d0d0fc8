"""Cross-validation folds; the test split is never read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oraclezoo.contracts import Split
from oraclezoo.data import tracks
from oraclezoo.data.dataset import ArrayDataset, ArraySplit
from oraclezoo.data.folds import deal
from oraclezoo.errors import UsageError


def made(images: int = 60, classes: int = 3) -> ArrayDataset:
    """Images that contain their index, and a test split that raises."""

    def part(first: int, count: int) -> ArraySplit:
        numbers = np.arange(first, first + count)
        pictures = np.zeros((count, 4, 4), np.uint8)
        pictures[:, 0, 0] = numbers
        return ArraySplit(pictures, (numbers % classes).astype(np.int64))

    def forbidden() -> Split:
        raise AssertionError("the test split was read")

    train = images - images // 4
    return ArrayDataset(
        classes=tuple(f"c{k}" for k in range(classes)),
        glyphs=("",) * classes,
        flip_keeps_label=True,
        synthetic=True,
        sha256={},
        readers={
            "train": lambda: part(0, train),
            "validation": lambda: part(train, images - train),
            "test": forbidden,
        },
    )


@pytest.mark.parametrize("folds", [2, 5])
def test_each_image_is_judged_once(tmp_path: Path, folds: int) -> None:
    """Folds are stratified and disjoint, and training excludes the fold."""
    judged: list[int] = []
    for place in deal(made(), tmp_path, folds):
        data = tracks.idx(data_dir=place)
        validation, trained = data.split("validation"), data.split("train")
        numbers = {int(image[0, 0]) for image in validation.images}
        assert not numbers & {int(image[0, 0]) for image in trained.images}
        assert len(trained.labels) + len(validation.labels) == 60
        assert np.ptp(np.bincount(validation.labels, minlength=3)) <= 1
        assert (data.flip_keeps_label, data.synthetic) == (True, True)
        judged += numbers
    assert sorted(judged) == list(range(60))


def test_dealing_again_gives_the_same_files(tmp_path: Path) -> None:
    """A resumed sweep finds the same files."""
    first, second = (deal(made(), tmp_path / part, 3) for part in ("a", "b"))
    for one, other in zip(first, second, strict=True):
        for path in one.iterdir():
            assert path.read_bytes() == (other / path.name).read_bytes()


@pytest.mark.parametrize(("folds", "says"), [(1, "at least 2 folds"), (21, "a class has only 20")])
def test_folds_that_cannot_be(tmp_path: Path, folds: int, says: str) -> None:
    """One fold, or more folds than images of a class."""
    with pytest.raises(UsageError, match=says):
        deal(made(), tmp_path, folds)
