"""Train the detector for unknown characters, and choose its threshold."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oraclezoo.artifacts.model import DETECTOR, Model
from oraclezoo.artifacts.onnx import with_detector
from oraclezoo.card import Unknown
from oraclezoo.contracts import Dataset, Split
from oraclezoo.data.characters import GLYPHS
from oraclezoo.data.foreign import scripts, sets
from oraclezoo.engine.augment import Augmenter
from oraclezoo.engine.seeds import derive
from oraclezoo.imaging.polarity import Gray
from oraclezoo.onnx_export.detector import MIN_EDGE, WIDTHS, Detector
from oraclezoo.recipe.sections import Augment

KEPT = 0.95
"""Fraction of real characters, and of clean drawings, that the threshold must accept."""
COUNT = 1500
"""Maximum number of images from each source of outliers."""
REAL = 6000
"""Maximum number of training images to use."""
DRAWINGS = 400
"""Number of drawings used to choose the threshold."""
EPOCHS, BATCH_SIZE, LR, WEIGHT_DECAY = 10, 128, 4e-3, 1e-2
REAL_WEIGHT = 2.0
"""Weight of real images in the loss; there are fewer of them than outliers."""
AUGMENT = Augment(
    shift=2.0, rotate=10.0, scale=0.1, shear=0.1, elastic=0.7, cutout=0, jpeg=0.3, jpeg_quality=30
)

Floats = npt.NDArray[np.float32]


def detecting(
    model: Model, dataset: Dataset, progress: Callable[[str], None] | None = None, seed: int = 0
) -> Model:
    """Train a detector for unknown characters, and return the model with the detector attached.

    A small CNN learns to distinguish the data set's training images from outliers: noise, textures,
    characters of other scripts, invented characters, and halves of training images. The threshold
    is chosen to accept 95% of the validation images and, for Oracle-MNIST's characters, 95% of
    clean drawings. The detector does not use the model's weights, so pruning, quantization and
    calibration of the model do not affect it. Training with examples of outliers is known as
    outlier exposure: Hendrycks, Mazeika and Dietterich, "Deep anomaly detection with outlier
    exposure" (ICLR 2019, arXiv 1812.04606).

    Training takes a few minutes on a CPU. Scripts for which no font is installed are left out.

    Args:
        model: The model, with or without an ONNX file.
        dataset: The data set that the model was trained on; its test images are not used.
        progress: Called with one line of text per event.
        seed: Random seed.

    Returns:
        A model whose predictions include whether an image shows an unknown character. If the
        model's images are smaller than 8 pixels, the model is returned unchanged.
    """
    say = progress or (lambda _: None)
    size, classes = model.card.input.image_size, len(model.classes)
    if size < MIN_EDGE:
        say(f"no detector of unknown characters: it needs images of at least {MIN_EDGE} pixels")
        return model
    oracle = tuple(model.card.glyphs) == GLYPHS
    if not scripts.chinese("fit"):
        say("no installed font has Chinese characters: the detector is fitted without them")
    images, labels = _training(dataset, size, seed, oracle)
    known, foreign = images
    say(f"fitting the detector of unknown characters to {len(known) + len(foreign)} pictures")
    detector = fitted(np.concatenate(images), labels, classes, dataset.flip_keeps_label, seed)
    entry = thresholded(detector, dataset.split("validation"), size, oracle)
    entry = Unknown(
        threshold=entry.threshold,
        file=DETECTOR,
        sha256=entry.sha256,
        split="validation",
        fonts=bool(scripts.chinese("fit")),
        kept=entry.kept,
        images=entry.images,
        fitted_on={"known": len(known), "foreign": len(foreign)},
    )
    return with_detector(model, detector, entry)


def _training(
    dataset: Dataset, size: int, seed: int, oracle: bool
) -> tuple[tuple[Gray, Gray], tuple[Tensor, Tensor]]:
    """Return known images and outliers, with the labels and loss weights of all images."""
    part = dataset.split("train")
    rng = np.random.default_rng(derive(seed, "detector"))
    rows = np.sort(rng.permutation(len(part.labels))[:REAL])
    real, real_labels = np.asarray(part.images[rows]), np.asarray(part.labels[rows])
    count = min(COUNT, len(real))
    known = list(
        sets.known(
            real,
            real_labels,
            size,
            seed,
            forms="fit" if oracle else "",
            count=5 * count // 3,
        )
    )
    foreign = list(sets.foreign("fit", size, seed, count=count, originals=(real, real_labels)))
    other = len(dataset.classes)
    labels, weights = list[Tensor](), list[Tensor]()
    for group in chain(known, foreign):
        every = np.full(len(group.images), other) if group.labels is None else group.labels
        labels.append(torch.from_numpy(np.asarray(every, np.int64)))
        weight = REAL_WEIGHT if group.family.startswith("real") else 1.0
        weights.append(torch.full((len(group.images),), weight))
    images = tuple(np.concatenate([each.images for each in side]) for side in (known, foreign))
    return (images[0], images[1]), (torch.cat(labels), torch.cat(weights))


def fitted(
    images: Gray, targets: tuple[Tensor, Tensor], classes: int, flip: bool, seed: int
) -> Detector:
    """Train a detector with AdamW and a one-cycle schedule.

    Args:
        images: Training images, uint8 ``(N, S, S)``.
        targets: Labels, int64 ``(N,)``, which are equal to ``classes`` for outliers; and the
            images' weights in the loss.
        classes: Number of known classes.
        flip: Whether an image keeps its label when it is mirrored.
        seed: Random seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "detector weights") % 2**63)
        net = _normalized(Detector(classes))
    device = torch.device("cpu")
    augment = Augmenter(AUGMENT, flip=flip, mean=0.0, std=1.0, device=device)
    pixels = torch.from_numpy(images)
    steps = EPOCHS * len(_batches(len(images), 0, 0))
    optimizer = torch.optim.AdamW(net.parameters(), LR, weight_decay=WEIGHT_DECAY)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
    net.train()
    step = 0
    for epoch in range(EPOCHS):
        for rows in _batches(len(images), seed, epoch):
            augment.reseed(derive(seed, "detector augmentation", step) % 2**63)
            inputs = augment(pixels[rows]).to(memory_format=torch.channels_last)
            losses = F.cross_entropy(
                net(inputs), targets[0][rows], reduction="none", label_smoothing=0.05
            )
            optimizer.zero_grad()
            (losses * targets[1][rows]).mean().backward()  # type: ignore[no-untyped-call]  # torch is untyped here
            optimizer.step()
            scheduler.step()
            step += 1
    return _folded(net.eval(), classes)


def _batches(count: int, seed: int, epoch: int) -> list[Tensor]:
    """Return shuffled row indices for each batch of an epoch; batches have two or more images."""
    order = np.random.default_rng(derive(seed, "detector order", epoch)).permutation(count)
    number = max(1, count // BATCH_SIZE)
    return [torch.from_numpy(rows) for rows in np.array_split(order, number)]


class _Normalized(nn.Module):
    """A detector during training, with batch norm after each convolution; returns logits."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)

    def forward(self, images: Tensor) -> Tensor:
        return self.detector.logits(images, list(self.norms))


def _normalized(detector: Detector) -> _Normalized:
    return _Normalized(detector).to(memory_format=torch.channels_last)


def _folded(net: _Normalized, classes: int) -> Detector:
    """Fold batch norm into the convolutions, and round the weights to their stored precision."""
    detector = copy.deepcopy(net.detector)
    for conv, norm in zip(detector.convs, net.norms, strict=True):
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert conv.bias is not None
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        conv.weight = nn.Parameter(conv.weight * gain.view(-1, 1, 1, 1))
        conv.bias = nn.Parameter((conv.bias - norm.running_mean) * gain + norm.bias)
    return Detector.from_bytes(detector.to_bytes(), classes)


def thresholded(detector: Detector, part: Split, size: int, oracle: bool) -> Unknown:
    """Return the card entry with the lowest threshold that accepts 95% of each kind of image."""
    known = {"real": np.asarray(part.images)}
    if oracle:
        drawn = sets.known(
            known["real"][:1],
            np.asarray(part.labels[:1]),
            size,
            derive(0, "detector threshold") % 2**31,
            forms="report",
            count=DRAWINGS,
        )
        known["drawings"] = next(each.images for each in drawn if each.family == "drawings")
    scores = {kind: scores_of(detector, images) for kind, images in known.items()}
    threshold = max(_limit(each) for each in scores.values())
    return Unknown(
        threshold=float(threshold),
        file=DETECTOR,
        sha256=hashlib.sha256(detector.to_bytes()).hexdigest(),
        kept={kind: float((each < threshold).mean()) for kind, each in scores.items()},
        images={kind: len(each) for kind, each in scores.items()},
    )


def _limit(scores: Floats) -> float:
    """Return a threshold, at most 1, slightly above the highest score that must be accepted.

    The margin is larger than the numerical differences between runtimes.
    """
    return min(float(np.quantile(scores, KEPT, method="higher")) + 1e-4, 1.0)


def scores_of(detector: Detector, images: Gray) -> Floats:
    """Return the scores, float32 ``(N,)``, of preprocessed images, uint8 ``(N, S, S)``."""

    def rows() -> Iterator[Floats]:
        for start in range(0, len(images), BATCH_SIZE):
            yield detector.scores(torch.from_numpy(images[start : start + BATCH_SIZE])).numpy()

    return np.concatenate(list(rows()))
