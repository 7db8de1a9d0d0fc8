"""Detect drift from the training distribution."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oraclezoo.analysis.features import features
from oraclezoo.analysis.reference import Reference, sample_indices
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.resolve import learned_validation, open_data, open_model, track_of
from oraclezoo.artifacts.run import Run
from oraclezoo.card import SMOOTH
from oraclezoo.data.image_files import read_images
from oraclezoo.engine.device import pick
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import prepare, prepare_all
from oraclezoo.measure.two_sample import Shift, class_test, mmd_test
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.serving.names import locate
from oraclezoo.serving.sources import expand

MIN_IMAGES = 10
"""Minimum number of images; with fewer, the tests have almost no power."""
LEVEL = 0.05
"""Significance level of the verdict, over both tests by Holm's procedure."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ClassShare:
    """Fraction of predictions of a class, in [0, 1], for the reference and for the images."""

    name: str
    reference: float
    images: float


@dataclass(frozen=True, slots=True)
class Drift:
    """Two-sample tests that compare images with reference images from a split of a track.

    ``images`` and ``against`` are the sample sizes. ``features`` is the test of the squared maximum
    mean discrepancy of the penultimate features, ``classes`` Pearson's chi-square test of the
    predicted classes. ``unreadable`` lists the files that were skipped.
    """

    images: int
    against: int
    track: str
    split: str
    features: Shift
    classes: Shift
    shares: tuple[ClassShare, ...]
    unreadable: tuple[str, ...]

    @property
    def differs(self) -> tuple[str, ...]:
        """Return which of ``features`` and ``classes`` differ, by Holm's procedure at ``LEVEL``."""
        tests = {"features": self.features.p, "classes": self.classes.p}
        if min(tests.values()) > LEVEL / 2:
            return ()
        # Holm: the smaller p is below LEVEL / 2, so the larger one is compared with LEVEL
        return tuple(name for name, p in tests.items() if p <= LEVEL)


def reference(
    model: Model | Run | str | Path,
    *,
    split: str = "validation",
    track: str | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    registry: Registry | None = None,
    progress: Say | None = None,
) -> Reference:
    """Compute the reference features of a model.

    Args:
        model: A model, a run, the folder of either, or the name of a model.
        split: ``train`` or ``validation``. The default is validation, because features of images
            that a model was trained on differ from the features of new images.
        track: Track to use instead of the one that the model was trained on.
        data_dir: Folder with the files of the data set; None for the default folders.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        registry: Registry of components; by default all installed components.
        progress: Called with progress messages.

    Raises:
        UsageError: ``split`` is neither ``train`` nor ``validation``.
        DataError: The files do not match the digests in the model card.
    """
    if split not in ("train", "validation"):
        raise UsageError(f"split is '{split}'; it must be train or validation")
    known = registry or build_registry()
    opened = _open(model, known, progress)
    if split == "validation" and learned_validation(opened) and progress:
        progress(
            "this model was also trained on its validation images, so new images differ from them "
            "slightly without any drift"
        )
    dataset = open_data(opened, known, track=track, data_dir=data_dir, progress=progress)
    opened.to(pick(device))
    return Reference.of(opened, dataset, track_of(opened, track), split)


def drift(
    model: Model | Run | str | Path,
    images: npt.NDArray[np.uint8] | Iterable[str],
    against: Reference | str | Path,
    *,
    polarity: Polarity = "auto",
    device: str = "auto",
    registry: Registry | None = None,
    progress: Say | None = None,
) -> Drift:
    """Test images for drift from a reference.

    Args:
        model: A model, a run, the folder of either, or the name of a model.
        images: Model inputs uint8 ``(N, S, S)``; or files, folders and patterns as for ``oraclezoo
            predict``, IDX files of images, and folders that contain IDX files. If there are more
            than 1,000 images, a random subset with a fixed seed is used.
        against: A reference, or the path of its file.
        polarity: ``auto`` detects the polarity of each picture.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        registry: Registry of components; by default all installed components.
        progress: Called with progress messages.

    Raises:
        DataError: Fewer images than the minimum could be read.
        ResultError: The reference belongs to a different model.
    """
    opened = _open(model, registry or build_registry(), progress).to(pick(device))
    known = against if isinstance(against, Reference) else Reference.load(against, opened)
    unreadable: list[str] = []
    if not isinstance(images, np.ndarray):
        size = opened.card.input.image_size
        images = gather(images, size, polarity, unreadable, opened.card.preprocessing.smoothing)
    if len(images) < MIN_IMAGES:
        raise DataError(
            f"{len(images)} readable images; drift detection takes at least {MIN_IMAGES}"
        )
    new, old = features(opened, images[sample_indices(len(images))]), known.features
    if new.vectors.shape[1] != old.vectors.shape[1]:
        raise DataError("the features in the reference have a different length; recreate it")
    number = len(opened.classes)
    before, after = (np.bincount(part.labels, minlength=number) for part in (old, new))
    return Drift(
        images=len(new.labels),
        against=len(old.labels),
        track=known.track,
        split=known.split,
        features=mmd_test(old.vectors, new.vectors),
        classes=class_test(old.labels, new.labels, number),
        shares=tuple(
            ClassShare(name, float(a), float(b))
            for name, a, b in zip(
                opened.classes, before / before.sum(), after / after.sum(), strict=True
            )
        ),
        unreadable=tuple(unreadable),
    )


def gather(
    names: Iterable[str],
    size: int,
    polarity: Polarity,
    unreadable: list[str],
    smoothing: float = SMOOTH,
) -> npt.NDArray[np.uint8]:
    """Load the given images as model inputs, uint8 ``(N, size, size)``.

    Files that cannot be read are appended to ``unreadable`` with the reason. Images in IDX files
    count as preprocessed if they have the model's input size. Raises DataError for a corrupt IDX
    file.
    """
    arrays: list[npt.NDArray[np.uint8]] = []
    for name in names:
        files = idx_files(Path(name))
        for file in files:
            array = read_images(file)
            fits = array.shape[1:] == (size, size)
            arrays.append(array if fits else prepare_all(list(array), size, polarity))
        if files:
            continue
        for source in expand([name], sys.stdin.buffer):
            try:
                arrays.append(prepare(source.read(), size, polarity, smoothing).gray[None])
            except DataError as error:
                unreadable.append(f"{source.name}: {error}")
    return np.concatenate(arrays) if arrays else np.zeros((0, size, size), np.uint8)


def idx_files(path: Path) -> list[Path]:
    """Return the IDX image file at a path, or the IDX image files in the folder at that path."""
    if path.is_file():
        return [path] if _is_idx(path) else []
    return sorted(file for file in path.glob("*") if _is_idx(file)) if path.is_dir() else []


def _is_idx(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith("-ubyte") and "idx3" in name and path.is_file()


def _open(model: Model | Run | str | Path, registry: Registry, progress: Say | None) -> Model:
    if isinstance(model, str) and not Path(model).is_dir():
        model = locate(model, lambda: registry, progress)
    return open_model(model, registry)
