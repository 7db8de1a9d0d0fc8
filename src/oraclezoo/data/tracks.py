"""The built-in tracks: factories that find, check and open a data set with its fixed split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import numpy as np

from oraclezoo.data import folder, splits, upstream
from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.dataset import SPLITS, ArrayDataset, ArraySplit
from oraclezoo.data.fetch import ensure, verified
from oraclezoo.data.generated import Part, open_generated, split_sha256
from oraclezoo.data.idx import read_images_labels, read_labels
from oraclezoo.data.known import KNOWN
from oraclezoo.data.streamed import AnySplit, open_images_labels
from oraclezoo.data.upstream import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from oraclezoo.errors import DataError

Progress = Callable[[str], None] | None

TRAIN_COUNTS = (2433, 2765, 2668, 2614, 2610, 2328, 2710, 2360, 3335, 3399)
"""Oracle-MNIST's training images of each class: 27,222 in all."""

GLYPHS_3K = Path(__file__).with_name("glyphs_3k")
"""The images and labels of the track ``glyphs-3k``."""

MAX_IMAGE_SIZE = 512
"""Largest height and width, in pixels, that the track ``idx`` accepts."""


def oracle_mnist(
    *, data_dir: Path | None, progress: Progress = None, stream_above: int | None = None
) -> ArrayDataset:
    """All 30,222 images. Validation: training images whose sha256 is divisible by ten.

    The files are searched for in ``data_dir`` alone, or else in $ORACLEZOO_DATA and the user's
    cache, and then downloaded. Images of a file that take more than ``stream_above`` bytes stay in
    it. Raises DataError, DownloadError.
    """
    paths = ensure(upstream.FILES, data_dir, progress)
    digests: dict[str, str] = {}
    read = partial(open_images_labels, stream_above=stream_above, progress=progress)

    @cache
    def training() -> tuple[AnySplit, splits.Mask]:
        official = _official(read, paths, TRAIN_IMAGES, TRAIN_LABELS, digests)
        return official, splits.by_image_hash(official.images)

    def train() -> AnySplit:
        official, held_out = training()
        return official.take(~held_out)

    def validation() -> AnySplit:
        official, held_out = training()
        return official.take(held_out)

    def test() -> AnySplit:
        return _official(read, paths, TEST_IMAGES, TEST_LABELS, digests)

    return ArrayDataset(
        classes=CLASSES,
        glyphs=GLYPHS,
        flip_keeps_label=True,
        synthetic=False,
        sha256=digests,
        readers={"train": train, "validation": validation, "test": test},
    )


def oracle_mnist_3k(
    *, data_dir: Path | None, progress: Progress = None, stream_above: int | None = None
) -> ArrayDataset:
    """The official test file, divided into 1,800 / 200 / 1,000, as many of each class.

    Searched for and held as by :func:`oracle_mnist`. Raises DataError, DownloadError.
    """
    paths = ensure((TEST_IMAGES, TEST_LABELS), data_dir, progress)
    digests: dict[str, str] = {}
    read = partial(open_images_labels, stream_above=stream_above, progress=progress)

    @cache
    def official() -> AnySplit:
        return _official(read, paths, TEST_IMAGES, TEST_LABELS, digests)

    def part(name: str) -> AnySplit:
        return official().take(splits.three_of_test_file(official().labels)[name])

    return ArrayDataset(
        classes=CLASSES,
        glyphs=GLYPHS,
        flip_keeps_label=True,
        synthetic=False,
        sha256=digests,
        readers={name: partial(part, name) for name in SPLITS},
    )


def glyphs(*, data_dir: Path | None, progress: Progress = None) -> ArrayDataset:
    """Generated characters in Oracle-MNIST's sizes and class counts; ``data_dir`` is not used."""
    validation = tuple(count // 10 for count in TRAIN_COUNTS)
    train = tuple(a - b for a, b in zip(TRAIN_COUNTS, validation, strict=True))
    parts = {
        "train": Part(101, train),
        "validation": Part(102, validation),
        "test": Part(103, (300,) * len(CLASSES)),
    }
    return open_generated(parts, progress)


def glyphs_3k(*, data_dir: Path | None, progress: Progress = None) -> ArrayDataset:
    """Generated characters in the sizes of ``oracle-mnist-3k``; ``data_dir`` is not used.

    The images are part of the package: those of version 2 of the generator, which every published
    result of this track rests on. Raises DataError if the files differ from them.
    """
    stated = KNOWN["glyphs-3k"].sha256
    digests = {"generated": str(stated["generated"])}

    def read(name: str) -> ArraySplit:
        images, labels = (GLYPHS_3K / f"{name}-{kind}.idx.gz" for kind in ("images", "labels"))
        split = ArraySplit(*read_images_labels(images, labels, len(CLASSES)))
        digests[f"generated {name}"] = split_sha256(split)
        if digests[f"generated {name}"] != stated[f"generated {name}"]:
            raise DataError(f"{images} or its labels are damaged; install oraclezoo again")
        return split

    return ArrayDataset(
        classes=CLASSES,
        glyphs=GLYPHS,
        flip_keeps_label=True,
        synthetic=True,
        sha256=digests,
        readers={name: partial(read, name) for name in SPLITS},
    )


def idx(
    *, data_dir: Path | None, progress: Progress = None, stream_above: int | None = None
) -> ArrayDataset:
    """Any folder of four IDX files (:mod:`oraclezoo.data.folder`).

    Validation is the pair of files that holds it, if the folder has one; otherwise it is every
    tenth training image of each class, in file order. The names of classes, whether flips keep a
    label, and whether the images are synthetic come from ``dataset.toml`` in the folder if it is
    there; otherwise classes are "0", "1", ... up to the largest training label, and neither holds.

    Images of a file that take more than ``stream_above`` bytes stay in it. Raises DataError.
    """
    if data_dir is None:
        raise DataError("track 'idx' needs the folder of your IDX files: give it by --data-dir")
    paths, about = folder.discover(data_dir), folder.read_about(data_dir)
    labels = read_labels(paths["training labels"])
    classes, characters = _names(data_dir, about, int(labels.max(initial=0)) + 1)
    present = set(np.unique(labels).tolist())
    absent = [str(label) for label in range(len(classes)) if label not in present]
    if absent and not about.classes:
        raise DataError(
            f"{paths['training labels']}: no training image has label {', '.join(absent[:5])}; "
            f"number the classes from 0 without gaps, or name them all in {folder.ABOUT}"
        )
    digests: dict[str, str] = {}
    read = partial(
        open_images_labels, num_classes=len(classes), stream_above=stream_above, progress=progress
    )

    @cache
    def training() -> AnySplit:
        return _own(read, paths["training images"], paths["training labels"], digests)

    def other(name: str) -> AnySplit:
        part = _own(read, paths[f"{name} images"], paths[f"{name} labels"], digests)
        size, trained = part.images.shape[1], training().images.shape[1]
        if size != trained:
            raise DataError(
                f"{data_dir}: {name} images have {size} pixels a side, others {trained}"
            )
        return part

    def train() -> AnySplit:
        if "validation images" in paths:
            return training()
        return training().take(~splits.every_tenth(training().labels))

    def validation() -> AnySplit:
        if "validation images" in paths:
            return other("validation")
        held_out = training().take(splits.every_tenth(training().labels))
        if not len(held_out.labels):
            raise DataError(f"{data_dir}: no class has ten training images; validation needs them")
        return held_out

    return ArrayDataset(
        classes=classes,
        glyphs=characters,
        flip_keeps_label=about.flip_keeps_label,
        synthetic=about.synthetic,
        sha256=digests,
        readers={"train": train, "validation": validation, "test": partial(other, "test")},
    )


def _official(
    read: Callable[..., AnySplit],
    paths: Mapping[str, Path],
    images: str,
    labels: str,
    digests: dict[str, str],
) -> AnySplit:
    """One of Oracle-MNIST's two parts, its files verified; their sha256 go into ``digests``."""
    for name in (images, labels):
        path = verified(upstream.known(name), paths[name])
        digests[path.name] = upstream.digest(path)
    return read(paths[images], paths[labels], num_classes=len(CLASSES))


def _own(
    read: Callable[..., AnySplit], images_path: Path, labels_path: Path, digests: dict[str, str]
) -> AnySplit:
    """One part of a user's data set; the sha256 of its files go into ``digests``."""
    part = read(images_path, labels_path)
    height, width = part.images.shape[1:]
    if height != width:
        raise DataError(
            f"{images_path}: images of {height} x {width} pixels; pad them to squares, "
            f"{max(height, width)} x {max(height, width)}"
        )
    if height > MAX_IMAGE_SIZE:
        raise DataError(
            f"{images_path}: images of {height} x {width} pixels; scale them down to "
            f"{MAX_IMAGE_SIZE} x {MAX_IMAGE_SIZE} or less"
        )
    for path in (images_path, labels_path):
        digests[path.name] = upstream.digest(path)
    return part


def _names(
    data_dir: Path, about: folder.About, num_labels: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name and character of each class; ``num_labels`` is one more than the largest label."""
    classes = about.classes or tuple(map(str, range(num_labels)))
    characters = about.glyphs or ("",) * len(classes)
    where = data_dir / folder.ABOUT
    if len(classes) < num_labels:
        raise DataError(f"{where}: {len(classes)} classes, but labels go up to {num_labels - 1}")
    if len(characters) != len(classes):
        raise DataError(f"{where}: {len(characters)} glyphs for {len(classes)} classes")
    if len(classes) < 2:
        raise DataError(f"{data_dir}: all training labels are 0; two classes are the least")
    return classes, characters
