"""Sections of a recipe. Each key has a type, a default value, bounds and a help text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from oraclezoo.choices import IMPORTANCES, SCOPES
from oraclezoo.errors import UsageError
from oraclezoo.recipe.data_lock import is_digest
from oraclezoo.recipe.variants import Variant
from oraclezoo.specs import Kind, Option, OptionType, Value

MIN_CLIP_NORM = 1e-4
"""Minimum gradient norm for clipping; with a smaller one, weights would hardly change."""


def _key(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    later: bool = False,
) -> Any:
    """Return the dataclass field for a key in a fixed section.

    ``later`` marks a key that was added after the first published recipes. The canonical JSON omits
    such a key if it has its default value (and omits a section that becomes empty), so that
    published recipes keep their hashes. The default must therefore reproduce the behavior without
    the key.
    """
    bounds = {"low": low, "high": high, "choices": choices}
    return field(default=default, metadata={"help": help, "later": later, **bounds})


@dataclass(frozen=True, slots=True)
class Data:
    """Training data."""

    track: str = _key("glyphs-3k", "data set with a fixed split")
    refit: bool = _key(False, "train on the union of training and validation images")
    lock: str = _key(
        "",
        "lock file of 'oraclezoo data lock', or its digest; training requires the same data",
        later=True,
    )

    def __post_init__(self) -> None:
        if self.lock and not is_digest(self.lock):
            raise UsageError(
                f"data.lock is '{self.lock[:70]}'; pass the digest in the lock file, or load the "
                "recipe from a file that names the lock file"
            )


@dataclass(frozen=True, slots=True)
class Pretrain:
    """Pre-training on a different track; off when ``epochs = 0``. Open division only."""

    track: str = _key("glyphs", "data set with the same classes and image size", later=True)
    epochs: int = _key(0, "epochs of pre-training with the same recipe", low=0, later=True)


@dataclass(frozen=True, slots=True)
class Budget:
    """Training budget."""

    epochs: int = _key(50, "passes over the training images", low=1)
    batch_size: int = _key(256, "images per step; an incomplete last batch is dropped", low=1)


@dataclass(frozen=True, slots=True)
class Augment:
    """Data augmentation. Geometric parameters are drawn uniformly from [-x, x] per image."""

    shift: float = _key(0.0, "translation in pixels", low=0, high=512)
    rotate: float = _key(0.0, "rotation in degrees", low=0, high=180)
    scale: float = _key(0.0, "scaling as a fraction of 1", low=0, high=0.9)
    shear: float = _key(0.0, "horizontal shear as a tangent", low=0, high=2)
    elastic: float = _key(
        0.0, "elastic deformation: maximum displacement in pixels", low=0, high=512
    )
    elastic_grid: int = _key(
        4, "control points of the elastic deformation per axis", low=2, high=64
    )
    flip: bool = _key(False, "mirror images with probability 0.5, if the data set allows it")
    cutout: int = _key(0, "side of the erased square in pixels", low=0, high=512)
    interpolation: str = _key(
        "bilinear",
        "interpolation of geometric changes; bicubic preserves the sharpness of evaluation images",
        choices=("bilinear", "bicubic"),
        later=True,
    )
    jpeg: float = _key(
        0.0,
        "probability of applying JPEG compression to a training image",
        low=0,
        high=1,
        later=True,
    )
    jpeg_quality: int = _key(
        30, "minimum JPEG quality; drawn uniformly up to 95", low=1, high=95, later=True
    )
    margin: float = _key(
        0.0,
        "largest margin added on each side by scaling down, as a fraction of the edge",
        low=0,
        high=0.45,
        later=True,
    )
    thickness: float = _key(
        0.0,
        "largest change of stroke thickness on each side of a stroke, in pixels",
        low=0,
        high=1,
        later=True,
    )
    gamma: float = _key(
        0.0, "gamma correction with an exponent from 2^-x to 2^x", low=0, high=3, later=True
    )
    shade: float = _key(
        0.0,
        "largest loss of light across the image, as a fraction of 1",
        low=0,
        high=0.95,
        later=True,
    )
    blur: float = _key(
        0.0,
        "largest standard deviation of a Gaussian blur in pixels",
        low=0,
        high=2,
        later=True,
    )
    binary: float = _key(
        0.0,
        "probability of reducing a training image to 1 bit, half of them dithered",
        low=0,
        high=1,
        later=True,
    )

    def check_fits(self, edge: int) -> None:
        """Raise UsageError if a value destroys images of size ``edge`` x ``edge`` pixels."""
        limits = {
            "shift": edge / 2,  # keep at least a quarter of each image
            "cutout": 3 * edge // 4,
            "elastic": edge / 4,  # larger displacements make the field fold over
            "elastic_grid": edge if self.elastic else math.inf,
        }
        for name, limit in limits.items():
            _check_limit(f"augment.{name}", getattr(self, name), limit, edge)


@dataclass(frozen=True, slots=True)
class Loss:
    """Cross-entropy loss."""

    label_smoothing: float = _key(0.0, "probability mass spread over all classes", low=0, high=0.99)


@dataclass(frozen=True, slots=True)
class Distill:
    """Knowledge distillation from teacher models; off when ``teachers = 0``."""

    teachers: int = _key(
        0,
        "number of teachers, trained first with this recipe and other seeds; "
        "above 0: open division",
        low=0,
        high=32,
        later=True,
    )
    weight: float = _key(
        0.5, "weight of the distillation term in the loss", low=0, high=1, later=True
    )
    temperature: float = _key(
        1.0, "softmax temperature of distillation", low=0.1, high=100, later=True
    )


@dataclass(frozen=True, slots=True)
class Training:
    """Training loop."""

    precision: str = _key(
        "fp32", "arithmetic of forward and backward passes", choices=("fp32", "bf16", "fp16")
    )
    channels_last: bool = _key(True, "use the NHWC memory layout")
    clip_norm: float = _key(0.0, "maximum global gradient norm; 0 disables clipping", low=0)
    ema: float = _key(
        0.0,
        "per-step decay of the exponential moving average of weights; 0 disables it",
        low=0,
        high=0.999999,
    )
    keep: str = _key("last", "weights to keep as the model", choices=("last", "best"))
    evaluate_every: int = _key(
        1, "epochs between validations; the last epoch is always validated", low=1
    )

    def __post_init__(self) -> None:
        if 0 < self.clip_norm < MIN_CLIP_NORM:
            raise UsageError(
                f"train.clip_norm is {self.clip_norm:g}; it must be 0 (no clipping) or at least "
                f"{MIN_CLIP_NORM:g}"
            )

    def check_fits(self, steps: int) -> None:
        """Raise UsageError if after ``steps`` steps the average is mostly untrained weights."""
        first = self.ema ** (steps - 1)  # weight of the first step in the average
        if steps > 1 and first > 0.5:
            margin = 1 - 0.5 ** (1 / (steps - 1))
            unit = 10.0 ** (math.floor(math.log10(margin)) - 1)
            limit = round(1 - unit * math.ceil(margin / unit), 12)
            raise UsageError(
                f"train.ema is {self.ema:g}: after {steps} steps, {100 * first:.0f}% of the "
                f"average are the weights of the first step; it must be at most {limit:g}"
            )


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Test-time augmentation; stored in the model card."""

    shifts: int = _key(
        0,
        "average predictions over the image and four shifts of this many pixels; 0 disables it",
        low=0,
        high=8,
        later=True,
    )
    flip: bool = _key(
        False, "also average over mirrored images, if the data set allows it", later=True
    )

    def check_fits(self, edge: int) -> None:
        """Raise UsageError if shifted images of ``edge`` x ``edge`` pixels are mostly empty."""
        _check_limit("evaluate.shifts", self.shifts, edge / 2, edge)


@dataclass(frozen=True, slots=True)
class Compress:
    """Compression of the trained model before evaluation in bench; off if ``steps`` is empty."""

    steps: str = _key(
        "",
        "pruneNN (keeps NN percent of MACs), int8 or fp16, joined by +: prune50+int8",
        later=True,
    )
    epochs: int = _key(10, "epochs of fine-tuning after pruning", low=0, later=True)
    importance: str = _key(
        "taylor",
        "channel importance measure",
        choices=IMPORTANCES,
        later=True,
    )
    scope: str = _key(
        "auto",
        "scope of the channel ranking; auto is uniform, isomorphic for transformers",
        choices=("auto", *SCOPES),
        later=True,
    )
    lr_scale: float = _key(
        1.0, "factor on the learning rates of [optimizer] in fine-tuning", low=1e-6, later=True
    )
    distill: float = _key(
        0.0,
        "weight of the distillation loss in fine-tuning, with the unpruned model as teacher; "
        "above 0: open division",
        low=0,
        high=1,
        later=True,
    )

    def __post_init__(self) -> None:
        if self.steps:
            object.__setattr__(self, "steps", str(Variant.parse(self.steps)))

    @property
    def idle(self) -> tuple[str, ...]:
        """Keys that have no effect: the pruning keys, if no step prunes."""
        if self.steps and Variant.parse(self.steps).left is not None:
            return () if self.epochs else ("lr_scale", "distill")
        return tuple(f.name for f in dataclasses.fields(self) if f.name != "steps")


@dataclass(frozen=True, slots=True)
class Component:
    """Name and options of a backbone, optimizer or scheduler."""

    name: str
    options: Mapping[str, Value] = field(default_factory=dict)


def _check_limit(key: str, value: float, limit: float, edge: int) -> None:
    if value > limit:
        raise UsageError(
            f"{key} is {value:g}; it must be at most {limit:g} for images of {edge} x {edge} pixels"
        )


SECTIONS: dict[str, type] = {
    "data": Data,
    "pretrain": Pretrain,
    "budget": Budget,
    "augment": Augment,
    "loss": Loss,
    "distill": Distill,
    "train": Training,
    "evaluate": Evaluate,
    "compress": Compress,
}
COMPONENTS: tuple[Kind, ...] = ("backbone", "optimizer", "scheduler")


def keys(section: type) -> dict[str, Option]:
    """Return the keys of a fixed section as options, keyed by name."""
    return {
        f.name: Option(
            f.name,
            cast(OptionType, f.type),
            cast(Value, f.default),
            f.metadata["help"],
            f.metadata["low"],
            f.metadata["high"],
            f.metadata["choices"],
        )
        for f in dataclasses.fields(section)
    }
