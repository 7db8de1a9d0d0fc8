"""Sections of a recipe: their keys, each with a type, a default, bounds and what it means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from oraclezoo.choices import IMPORTANCES, SCOPES
from oraclezoo.recipe.variants import Variant
from oraclezoo.specs import Kind, Option, OptionType, Value


def _key(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    later: bool = False,
) -> Any:
    """A key of a fixed section; ``later`` marks one added after recipes had been published.

    A later key is left out of the canonical JSON while it has its default (a section without keys
    too), so that published recipes keep their hashes. Its default must mean: as before the key.
    """
    bounds = {"low": low, "high": high, "choices": choices}
    return field(default=default, metadata={"help": help, "later": later, **bounds})


@dataclass(frozen=True, slots=True)
class Data:
    """What is learned from."""

    track: str = _key("glyphs-3k", "data set with its fixed split")
    refit: bool = _key(False, "train on training and validation images together")


@dataclass(frozen=True, slots=True)
class Pretrain:
    """What the net learns before; nothing if there are no epochs. Puts a result into "open"."""

    track: str = _key("glyphs", "data set, with the same classes and image size", later=True)
    epochs: int = _key(0, "passes over its training images, by the same recipe", low=0, later=True)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is learned from it."""

    epochs: int = _key(50, "passes over the training images", low=1)
    batch_size: int = _key(256, "images a step; an incomplete last batch is left out", low=1)


@dataclass(frozen=True, slots=True)
class Augment:
    """Random changes of each training image; each is drawn evenly from -x to +x."""

    shift: float = _key(0.0, "translation, pixels", low=0, high=512)
    rotate: float = _key(0.0, "rotation, degrees", low=0, high=180)
    scale: float = _key(0.0, "zoom, as a fraction of 1", low=0, high=0.9)
    shear: float = _key(0.0, "horizontal shear, as a tangent", low=0, high=2)
    elastic: float = _key(0.0, "smooth displacement field, pixels", low=0, high=512)
    elastic_grid: int = _key(4, "control points of that field along each axis", low=2, high=64)
    flip: bool = _key(False, "mirror half of the images, if the data set allows it")
    cutout: int = _key(0, "edge of a blanked square, pixels", low=0, high=512)
    interpolation: str = _key(
        "bilinear",
        "between pixels; bicubic leaves an image as sharp as those that are evaluated",
        choices=("bilinear", "bicubic"),
        later=True,
    )
    jpeg: float = _key(
        0.0, "share of the images that lose what JPEG does", low=0, high=1, later=True
    )
    jpeg_quality: int = _key(
        30, "lowest quality; each is drawn evenly up to 95", low=1, high=95, later=True
    )


@dataclass(frozen=True, slots=True)
class Loss:
    """Cross-entropy."""

    label_smoothing: float = _key(0.0, "probability spread over all classes", low=0, high=0.99)


@dataclass(frozen=True, slots=True)
class Distill:
    """Whom the net learns from beside the labels; nobody if there are no teachers."""

    teachers: int = _key(
        0,
        "nets of this recipe that are trained first, at other seeds; they count, so: open division",
        low=0,
        high=32,
        later=True,
    )
    weight: float = _key(
        0.5, "share of the loss that goes by the teachers' labels", low=0, high=1, later=True
    )
    temperature: float = _key(
        1.0, "divides the logits of both before they are compared", low=0.1, high=100, later=True
    )


@dataclass(frozen=True, slots=True)
class Training:
    """How the steps are taken."""

    precision: str = _key("fp32", "arithmetic of the passes", choices=("fp32", "bf16", "fp16"))
    channels_last: bool = _key(True, "memory layout NHWC")
    clip_norm: float = _key(0.0, "largest global gradient norm; 0 clips nothing", low=0)
    ema: float = _key(0.0, "decay a step of averaged weights; 0 averages nothing", low=0, high=1)
    keep: str = _key("last", "which weights become the model", choices=("last", "best"))
    evaluate_every: int = _key(1, "epochs between validations; the last one always is", low=1)


@dataclass(frozen=True, slots=True)
class Evaluate:
    """What the trained model does with an image; the model's card carries it."""

    shifts: int = _key(
        0,
        "pixels; average over an image and its shifts up, down, left and right; 0 shifts nothing",
        low=0,
        high=8,
        later=True,
    )
    flip: bool = _key(
        False, "average over these mirrored as well, if the data set allows it", later=True
    )


@dataclass(frozen=True, slots=True)
class Compress:
    """What bench makes of each trained net before it is scored; nothing if there are no steps."""

    steps: str = _key(
        "", "pruneNN (percent of MACs left), int8, fp16, joined by +: prune50+int8", later=True
    )
    epochs: int = _key(10, "passes of fine-tuning after a pruning", low=0, later=True)
    importance: str = _key(
        "taylor",
        "what channels are ranked by",
        choices=IMPORTANCES,
        later=True,
    )
    scope: str = _key(
        "auto",
        "within what they are ranked; auto is uniform, of transformers isomorphic",
        choices=("auto", *SCOPES),
        later=True,
    )
    lr_scale: float = _key(
        1.0, "learning rates of the fine-tuning, as a share of [optimizer]'s", low=1e-6, later=True
    )
    distill: float = _key(
        0.0,
        "share of its loss that goes by the unpruned net's labels; above 0: open division",
        low=0,
        high=1,
        later=True,
    )

    def __post_init__(self) -> None:
        if self.steps:
            object.__setattr__(self, "steps", str(Variant.parse(self.steps)))

    @property
    def idle(self) -> tuple[str, ...]:
        """Keys that decide nothing here: those of a pruning where there is none."""
        if self.steps and Variant.parse(self.steps).left is not None:
            return () if self.epochs else ("lr_scale", "distill")
        return tuple(f.name for f in dataclasses.fields(self) if f.name != "steps")


@dataclass(frozen=True, slots=True)
class Component:
    """A backbone, optimizer or scheduler by name, with the options given to it."""

    name: str
    options: Mapping[str, Value] = field(default_factory=dict)


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
    """The keys of a fixed section, as options."""
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
