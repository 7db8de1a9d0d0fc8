"""The built-in tracks: functions that locate, verify and open data sets with fixed splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import numpy as np

from oraclezoo.data import folder, splits, upstream
from oraclezoo.data.characters import CLASSES
from oraclezoo.data.dataset import SPLITS, ArrayDataset, ArraySplit, oracle_dataset
from oraclezoo.data.fetch import ensure, verified
from oraclezoo.data.generated import Part, open_generated, split_sha256
from oraclezoo.data.image_files import read_images_labels, read_labels
from oraclezoo.data.known import KNOWN
from oraclezoo.data.streamed import AnySplit, open_images_labels
from oraclezoo.data.upstream import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from oraclezoo.errors import DataError

Progress = Callable[[str], None] | None

TRAIN_COUNTS = (2433, 2765, 2668, 2614, 2610, 2328, 2710, 2360, 3335, 3399)
"""Number of Oracle-MNIST's training images per class: 27,222 in total."""

GLYPHS_3K = Path(__file__).with_name("glyphs_3k")
"""Folder with the images and labels of the track ``glyphs-3k``."""

MAX_IMAGE_SIZE = 512
"""Maximum height and width, in pixels, of images in the track ``idx``."""


def oracle_mnist(
    *, data_dir: Path | None, progress: Progress = None, stream_above: int | None = None
) -> ArrayDataset:
    """Open Oracle-MNIST with all 30,222 images.

    The validation split consists of the training images whose SHA-256 is divisible by ten
    (:func:`oraclezoo.data.splits.by_image_hash`).

    Args:
        data_dir: Folder with the files; None for $ORACLEZOO_DATA and then the user's cache, into
            which missing files are downloaded.
        progress: Called with progress messages.
        stream_above: Size of images in bytes above which they are streamed; None to never stream.

    Returns:
        The data set; splits are read on first use.

    Raises:
        DataError: If a file is missing or differs from the published file.
        DownloadError: If a file cannot be downloaded.
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

    return oracle_dataset(
        synthetic=False,
        sha256=digests,
        readers={"train": train, "validation": validation, "test": test},
    )


def oracle_mnist_3k(
    *, data_dir: Path | None, progress: Progress = None, stream_above: int | None = None
) -> ArrayDataset:
    """Open the official test file, split into 1,800 / 200 / 1,000 images, balanced by class.

    Args:
        data_dir: As for :func:`oracle_mnist`.
        progress: Called with progress messages.
        stream_above: As for :func:`oracle_mnist`.

    Returns:
        The data set; splits are read on first use.

    Raises:
        DataError: If a file is missing or differs from the published file.
        DownloadError: If a file cannot be downloaded.
    """
    paths = ensure((TEST_IMAGES, TEST_LABELS), data_dir, progress)
    digests: dict[str, str] = {}
    read = partial(open_images_labels, stream_above=stream_above, progress=progress)

    @cache
    def official() -> AnySplit:
        return _official(read, paths, TEST_IMAGES, TEST_LABELS, digests)

    def part(name: str) -> AnySplit:
        return official().take(splits.three_of_test_file(official().labels)[name])

    return oracle_dataset(
        synthetic=False,
        sha256=digests,
        readers={name: partial(part, name) for name in SPLITS},
    )


def glyphs(*, data_dir: Path | None, progress: Progress = None) -> ArrayDataset:
    """Open a synthetic data set with Oracle-MNIST's class counts.

    Args:
        data_dir: Ignored.
        progress: Called with progress messages.

    Returns:
        The data set; splits are generated on first use and cached.
    """
    validation = tuple(count // 10 for count in TRAIN_COUNTS)
    train = tuple(a - b for a, b in zip(TRAIN_COUNTS, validation, strict=True))
    parts = {
        "train": Part(101, train),
        "validation": Part(102, validation),
        "test": Part(103, (300,) * len(CLASSES)),
    }
    return open_generated(parts, progress)


def glyphs_3k(*, data_dir: Path | None, progress: Progress = None) -> ArrayDataset:
    """Open a synthetic data set with the split sizes of ``oracle-mnist-3k``.

    The images are part of the package. They were generated by version 2 of the generator, which is
    the version of all published results for this track.

    Args:
        data_dir: Ignored.
        progress: Ignored.

    Returns:
        The data set; splits are read on first use.

    Raises:
        DataError: If the files do not match their digests.
    """
    stated = KNOWN["glyphs-3k"].sha256
    digests = {"generated": str(stated["generated"])}

    def read(name: str) -> ArraySplit:
        images, labels = (GLYPHS_3K / f"{name}-{kind}.idx.gz" for kind in ("images", "labels"))
        split = ArraySplit(*read_images_labels(images, labels, len(CLASSES)))
        digests[f"generated {name}"] = split_sha256(split)
        if digests[f"generated {name}"] != stated[f"generated {name}"]:
            raise DataError(f"{images} or its labels are corrupt; reinstall oraclezoo")
        return split

    return oracle_dataset(
        synthetic=True,
        sha256=digests,
        readers={name: partial(read, name) for name in SPLITS},
    )


def idx(
    *, data_dir: Path | None, progress: Progress = None, stream_above: int | None = None
) -> ArrayDataset:
    """Open a folder of four IDX files (see :mod:`oraclezoo.data.folder`).

    The validation split is read from a pair of files if they exist; otherwise it is every tenth
    training image of each class, in file order. ``dataset.toml`` in the folder sets the class
    names, whether flips preserve labels, whether the images are synthetic, and optionally a name, a
    source and the SHA-256 of the files. Without this file, the classes are "0", "1", ... up to the
    largest training label, flips do not preserve labels, and the images are not synthetic.

    Args:
        data_dir: The folder.
        progress: Called with progress messages.
        stream_above: Size of images in bytes above which they are streamed; None to never stream.

    Returns:
        The data set; splits are read on first use.

    Raises:
        DataError: If no folder is given, or its files are missing or invalid.
    """
    if data_dir is None:
        raise DataError(
            "track 'idx' requires the folder of your IDX files; pass it with --data-dir"
        )
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
    uploads: dict[str, Path] = {}
    read = partial(
        open_images_labels, num_classes=len(classes), stream_above=stream_above, progress=progress
    )

    def own(name: str) -> AnySplit:
        images, labels = paths[f"{name} images"], paths[f"{name} labels"]
        _check_uploads({f"{name} images": images, f"{name} labels": labels}, uploads, progress)
        return _own(read, images, labels, digests, about)

    @cache
    def training() -> AnySplit:
        return own("training")

    def other(name: str) -> AnySplit:
        part = own(name)
        size, expected = part.images.shape[1], training().images.shape[1]
        if size != expected:
            raise DataError(
                f"{data_dir}: {name} images are {size} x {size} pixels, but training images are "
                f"{expected} x {expected}"
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
            raise DataError(
                f"{data_dir}: no class has ten training images, the minimum for a validation split"
            )
        return held_out

    return ArrayDataset(
        classes=classes,
        glyphs=characters,
        flip_keeps_label=about.flip_keeps_label,
        synthetic=about.synthetic,
        sha256=digests,
        readers={"train": train, "validation": validation, "test": partial(other, "test")},
        name=about.name,
        source=about.source,
    )


def _official(
    read: Callable[..., AnySplit],
    paths: Mapping[str, Path],
    images: str,
    labels: str,
    digests: dict[str, str],
) -> AnySplit:
    """Verify and read one split of Oracle-MNIST; add the SHA-256 of its files to ``digests``."""
    for name in (images, labels):
        path = verified(upstream.known(name), paths[name])
        digests[path.name] = upstream.digest(path)
    return read(paths[images], paths[labels], num_classes=len(CLASSES))


def _own(
    read: Callable[..., AnySplit],
    images_path: Path,
    labels_path: Path,
    digests: dict[str, str],
    about: folder.About,
) -> AnySplit:
    """Read one split of a custom data set; add the SHA-256 of its files to ``digests``."""
    part = read(images_path, labels_path)
    height, width = part.images.shape[1:]
    if height != width:
        raise DataError(
            f"{images_path}: images are {height} x {width} pixels; pad them to squares, "
            f"{max(height, width)} x {max(height, width)}"
        )
    if height > MAX_IMAGE_SIZE:
        raise DataError(
            f"{images_path}: images are {height} x {width} pixels; resize them to "
            f"{MAX_IMAGE_SIZE} x {MAX_IMAGE_SIZE} or less"
        )
    for path in (images_path, labels_path):
        digests[path.name] = upstream.digest(path)
        if (about.sha256 or digests).get(path.name) != digests[path.name]:
            raise DataError(
                f"{path}: SHA-256 does not match {folder.ABOUT}; restore the file, or give "
                "changed data a new name"
            )
    return part


def _check_uploads(paths: Mapping[str, Path], uploads: dict[str, Path], progress: Progress) -> None:
    """Raise DataError if a data set mixes files from both of Oracle-MNIST's uploads.

    ``paths`` maps roles to files; ``uploads`` receives one file from each upload. An official file
    beside an unknown one, which may derive from either upload, is only reported.
    """
    unknown: list[str] = []
    dates: dict[str, str] = {}
    for role, path in paths.items():
        official = upstream.FILES.get(f"{folder.FILES.get(role)}.gz")
        upload = upstream.upload(official, path) if official else None
        if upload is None:
            unknown.append(path.name)
        else:
            uploads.setdefault(upload, path)
            dates[upload] = path.name
    if len(uploads) > 1:
        listed = ", ".join(f"{path.name} ({date})" for date, path in sorted(uploads.items()))
        raise DataError(
            f"{path.parent}: Oracle-MNIST files of two uploads: {listed}; {upstream.ORDERS}\n"
            "Take all files from one upload; 'oraclezoo data fetch' downloads the later one."
        )
    if progress is None or not unknown:
        return
    for date, name in dates.items():
        progress(
            f"{name} is Oracle-MNIST's of {date}, but {unknown[0]} is no official file: make sure "
            f"that it is in the same order, because {upstream.ORDERS}"
        )


def _names(
    data_dir: Path, about: folder.About, num_labels: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the name and glyph of each class; ``num_labels`` is the largest label plus one."""
    classes = about.classes or tuple(map(str, range(num_labels)))
    characters = about.glyphs or ("",) * len(classes)
    where = data_dir / folder.ABOUT
    if len(classes) < num_labels:
        raise DataError(f"{where}: {len(classes)} classes, but labels go up to {num_labels - 1}")
    if len(characters) != len(classes):
        raise DataError(f"{where}: {len(characters)} glyphs for {len(classes)} classes")
    if len(classes) < 2:
        raise DataError(f"{data_dir}: all training labels are 0; at least two classes are required")
    return classes, characters
