"""Drift: whether images look like those that a model was trained on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oraclezoo.analysis.features import features
from oraclezoo.analysis.reference import Reference, drawn
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.resolve import learned_validation, open_data, open_model, track_of
from oraclezoo.artifacts.run import Run
from oraclezoo.card import SMOOTH, smoothing_of
from oraclezoo.data.idx import read_images
from oraclezoo.engine.device import pick
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import prepare, prepare_all
from oraclezoo.measure.two_sample import Shift, class_test, mmd_test
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.serving.names import locate
from oraclezoo.serving.sources import expand

LEAST = 10
"""Images, at least; fewer can hardly tell anything."""
LEVEL = 0.05
"""Of the verdict, over both tests together by Holm's procedure."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ClassShare:
    """A class's share of what the images are taken for, of 1: in the reference, and here."""

    name: str
    reference: float
    images: float


@dataclass(frozen=True, slots=True)
class Drift:
    """Two tests of ``images`` against ``against`` ``reference`` images of a split of a track.

    ``features`` is the squared maximum mean discrepancy of the net's last features, ``classes``
    Pearson's chi-square of the predicted classes. ``unreadable`` names files that were left out.
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
        """Which of ``features`` and ``classes`` differ, by Holm's procedure at ``LEVEL``."""
        tests = {"features": self.features.p, "classes": self.classes.p}
        if min(tests.values()) > LEVEL / 2:
            return ()
        # the smaller p has passed its half of the level; the larger one has the whole
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
    """The features of the images that a model is to be held to.

    By default those of validation, which come from where the training images come from, but were
    not learned: a net tells apart what it has learned from what it has not. Raises DataError if the
    files are not the ones that the model's card names.
    """
    if split not in ("train", "validation"):
        raise UsageError(f"split is '{split}'; it must be train or validation")
    known = registry or build_registry()
    opened = _open(model, known, progress)
    if split == "validation" and learned_validation(opened) and progress:
        progress(
            "this model was trained on its validation images too: images that are new to it "
            "differ from them a little for that alone"
        )
    dataset = open_data(opened, known, track=track, data_dir=data_dir, progress=progress)
    opened.to(pick(device))
    return Reference.of(opened, dataset, track_of(opened, track), split)


def drift(
    model: Model | Run | str | Path,
    images: npt.NDArray[np.uint8] | Iterable[str],
    held_to: Reference | str | Path,
    *,
    polarity: Polarity = "auto",
    device: str = "auto",
    registry: Registry | None = None,
    progress: Say | None = None,
) -> Drift:
    """Hold images against a reference.

    ``images`` is uint8 ``(N, S, S)`` as the model reads them, or names files, folders and patterns
    as for ``oraclezoo predict``, IDX files of images and folders of those. More than 1,000 are
    drawn from by a fixed seed. Raises DataError for too few, ResultError for a reference of another
    model.
    """
    opened = _open(model, registry or build_registry(), progress).to(pick(device))
    against = held_to if isinstance(held_to, Reference) else Reference.load(held_to, opened)
    unreadable: list[str] = []
    if not isinstance(images, np.ndarray):
        size = opened.card["input"]["image_size"]
        smoothing = smoothing_of(opened.card["preprocessing"])
        images = gather(images, size, polarity, unreadable, smoothing)
    if len(images) < LEAST:
        raise DataError(f"{len(images)} images that can be read; drift takes at least {LEAST}")
    found, old = features(opened, images[drawn(len(images))]), against.features
    if found.vectors.shape[1] != old.vectors.shape[1]:
        raise DataError("the reference has features of another length; make it again")
    number = len(opened.classes)
    before, after = (np.bincount(part.labels, minlength=number) for part in (old, found))
    return Drift(
        images=len(found.labels),
        against=len(old.labels),
        track=against.track,
        split=against.split,
        features=mmd_test(old.vectors, found.vectors),
        classes=class_test(old.labels, found.labels, number),
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
    """The images that names stand for, uint8 ``(N, size, size)``, prepared as for a prediction.

    What cannot be read goes to ``unreadable`` with the reason. Images in IDX files are taken as
    prepared if they are of the model's size. Raises DataError for a broken IDX file.
    """
    found: list[npt.NDArray[np.uint8]] = []
    for name in names:
        files = idx_files(Path(name))
        for file in files:
            array = read_images(file)
            fits = array.shape[1:] == (size, size)
            found.append(array if fits else prepare_all(list(array), size, polarity))
        if files:
            continue
        for source in expand([name], sys.stdin.buffer):
            try:
                found.append(prepare(source.read(), size, polarity, smoothing).gray[None])
            except DataError as error:
                unreadable.append(f"{source.name}: {error}")
    return np.concatenate(found) if found else np.zeros((0, size, size), np.uint8)


def idx_files(path: Path) -> list[Path]:
    """An IDX file of images by its name, or those in a folder; none if it is neither."""
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
