"""The model card, ``model.json``: schema, reading and writing, without torch."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from oraclezoo.card.baseline import Baseline
from oraclezoo.card.receipt import Receipt
from oraclezoo.card.unknown import Unknown as Unknown
from oraclezoo.codec import Document, decode, encode
from oraclezoo.documents import read_json
from oraclezoo.errors import ResultError, command_line
from oraclezoo.storage import current

CARD = "model.json"
SCHEMA = "oraclezoo/model/1"
MAX_BYTES = 4 << 20
"""Maximum size of ``model.json``."""

MAX_CLASSES = 65_536
"""Maximum number of classes in a card."""

MAX_IMAGE_SIZE = 1_024
"""Maximum height and width of a model's input in pixels; memory use grows with them."""

MAX_CHANNELS = 16
"""Maximum number of input channels."""

SMOOTH = 0.4
"""Standard deviation, in pixels, of the smoothing of JPEG images that are hardly downscaled.

The best of the values 0 to 0.5 at JPEG qualities from 30 to 90, for models that were not trained on
JPEG images (``benchmarks/studies/predict_jpeg.py``, on training images).
"""

CARD_KEY = "oraclezoo.card"
"""Metadata entry of an ONNX file, or extra file of a ``.pt2``, that holds the card as JSON."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """Qualified name and options of a backbone."""

    name: str
    options: Document


@dataclass(frozen=True, slots=True)
class InputShape:
    """Number of input channels, image size in pixels, and number of classes."""

    in_chans: int
    num_classes: int
    image_size: int

    def __post_init__(self) -> None:
        limits = (MAX_CHANNELS, MAX_CLASSES, MAX_IMAGE_SIZE)
        sizes = zip(dataclasses.astuple(self), limits, strict=True)
        if not all(0 < size <= limit for size, limit in sizes):
            raise ValueError(
                f"input is {dataclasses.asdict(self)}; at most {MAX_CHANNELS} channels, "
                f"{MAX_CLASSES:,} classes and {MAX_IMAGE_SIZE:,} pixels are supported"
            )

    @property
    def image(self) -> dict[str, int]:
        """``in_chans`` and ``image_size``, the arguments of functions that create an input."""
        return {"in_chans": self.in_chans, "image_size": self.image_size}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Preprocessing of images and test-time augmentation.

    ``mean`` and ``std`` are the mean and standard deviation of the gray levels of the training
    images, in [0, 1]. ``shifts`` is in pixels. ``jpeg_smoothing`` is the standard deviation, in
    pixels, for smoothing small JPEG images; None means ``SMOOTH``.
    """

    mean: float
    std: float
    shifts: int = 0
    flip: bool = False
    jpeg_smoothing: float | None = None

    def __post_init__(self) -> None:
        valid = math.isfinite(self.mean) and 0 < self.std < math.inf and self.shifts >= 0
        if not valid or not 0 <= self.smoothing <= 1:
            raise ValueError(f"preprocessing is {dataclasses.asdict(self)}")

    @property
    def smoothing(self) -> float:
        """Standard deviation, in pixels, for smoothing small JPEG images."""
        return SMOOTH if self.jpeg_smoothing is None else self.jpeg_smoothing


@dataclass(frozen=True, slots=True)
class Source:
    """The distribution that provides a component."""

    name: str
    distribution: str
    version: str


@dataclass(frozen=True, slots=True)
class PluginSource:
    """Version and code of a plugin's distribution.

    ``sha256`` is computed from the names and contents of its files. ``source`` is ``index``,
    ``url``, ``local`` or ``editable``; comparisons ignore it, because it does not affect the code.
    """

    version: str
    sha256: str
    source: str = field(compare=False)

    @property
    def text(self) -> str:
        """Version and first digits of the code's SHA-256, for messages."""
        return f"{self.version} (code {self.sha256[:8]})"


@dataclass(frozen=True, slots=True)
class RecipeId:
    """Name and hash of a recipe."""

    name: str
    hash: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Training provenance of a model; ``refit`` is true if validation images were trained on too.

    ``components`` is keyed by kind, ``data_sha256`` by file of the training and validation splits,
    and ``plugins`` by distribution (without oraclezoo).
    """

    oraclezoo: str
    recipe: RecipeId
    refit: bool
    seed: int
    components: Mapping[str, Source]
    data_sha256: Mapping[str, str]
    plugins: Mapping[str, PluginSource] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperature that divides the logits before the softmax, and how it was fitted.

    ``by_a_twin`` is true if it was fitted on a second model that was trained without the validation
    images. ``before`` and ``after`` hold ``loss`` and ``ece``; ``after`` is cross-validated with
    ``folds`` folds.
    """

    temperature: float
    split: str | None = None
    images: int | None = None
    by_a_twin: bool | None = None
    folds: int | None = None
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"calibration is {dataclasses.asdict(self)}")


@dataclass(frozen=True, slots=True)
class OnnxEntry:
    """The ONNX file of a model; ``input`` is the type of its input images."""

    file: str
    sha256: str
    precision: str
    opset: int | None = None
    input: str = "uint8"
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = re.fullmatch(r"[\w-][\w.-]*", self.file)
        if not named or not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(
                f"onnx is {dataclasses.asdict(self)}; it must name a file and its SHA-256"
            )


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """The file with a model's weights; cards of version 0.1 do not have this entry."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A model card.

    ``glyphs`` holds the character of each class, or "". ``recipe``, ``plan`` and ``form`` are the
    JSON of :class:`oraclezoo.recipe.Recipe`, :class:`oraclezoo.compression.channels.plan.Plan` and
    :class:`oraclezoo.compression.torch_form.Form`. ``extra`` holds all other entries, such as the
    license of a bundled model.
    """

    backbone: Backbone
    input: InputShape
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    glyphs: tuple[str, ...] = ()
    synthetic: bool | None = None
    recipe: Document | None = None
    provenance: Origin | None = None
    receipts: tuple[Receipt, ...]
    calibration: Calibration | None = None
    baseline: Baseline | None = None
    unknown: Unknown | None = None
    plan: Document | None = None
    weights_file: WeightsEntry | None = None
    onnx: OnnxEntry | None = None
    form: Document | None = None
    extra: Document = field(default_factory=dict)

    def __post_init__(self) -> None:
        number = self.input.num_classes
        if not self.glyphs:
            object.__setattr__(self, "glyphs", ("",) * number)
        if len(self.classes) != number or len(self.glyphs) != number:
            raise ValueError(
                f"{len(self.classes)} classes and {len(self.glyphs)} glyphs for {number} outputs"
            )
        if self.preprocessing.shifts >= self.input.image_size:
            raise ValueError(f"preprocessing is {encode(self.preprocessing)}")

    @classmethod
    def from_json(cls, document: object, where: str | Path = CARD) -> Self:
        """Parse a card. Raises ResultError, which names the file ``where``."""
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ResultError(f"{where}: not a model card ({SCHEMA})")
        known = {each.name for each in dataclasses.fields(cls)} - {"extra"}
        entries = {k: v for k, v in document.items() if k in known and (v or k != "provenance")}
        extra = {k: v for k, v in document.items() if k not in known and k != "schema"}
        try:
            return dataclasses.replace(decode(cls, entries), extra=extra)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ResultError(f"{where}: not a valid model card: {reason}") from error

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the card of a model folder. Raises ResultError."""
        path = current(folder, CARD)
        try:
            document = read_json(path, MAX_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ResultError(f"{folder} is not a model folder: {CARD} is missing") from error
        except OSError as error:
            raise ResultError(f"{path}: cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise ResultError(f"{path}: corrupt or truncated ({error})") from error
        return cls.from_json(document, path)

    @classmethod
    def load_served(cls, folder: Path) -> Self:
        """Read the card of a model folder with an ONNX file. Raises ResultError."""
        export = f"run {command_line('oraclezoo', 'export', folder)}"
        if not current(folder, CARD).is_file() and (folder / "run.json").is_file():
            raise ResultError(f"{folder} is a run folder, without an ONNX file; {export}")
        card = cls.load(folder)
        if card.form is not None:
            raise ResultError(
                f"{folder}: the model is quantized to {card.form.get('precision')} for PyTorch and "
                f"has no ONNX file; use oraclezoo.load, or {export}"
            )
        if card.onnx is None:
            raise ResultError(f"{folder}: the model has no ONNX file; {export}")
        if card.input.in_chans != 1:
            raise ResultError(
                f"{folder}: the model takes {card.input.in_chans} channels, not gray images"
            )
        return card

    def to_json(self) -> dict[str, Any]:
        """Return the contents of ``model.json``."""
        entries = {"schema": SCHEMA, **encode(self), **self.extra}
        entries.pop("extra", None)
        return entries

    def metadata(self) -> dict[str, Any]:
        """Return the entries to store in an exported file."""
        entries = {
            **{key: value for key, value in self.to_json().items() if key in _EXPORTED},
            "backbone": self.backbone.name,
        }
        if self.provenance is not None:
            entries["recipe"] = encode(self.provenance.recipe)
            entries["oraclezoo"] = self.provenance.oraclezoo
        return entries


_EXPORTED = (
    "classes",
    "glyphs",
    "synthetic",
    "input",
    "preprocessing",
    "calibration",
    "data",
    "unknown",
)


def read_card(folder: str | Path) -> Card:
    """Return the card in a model folder or run folder. Raises ResultError."""
    path = Path(folder)
    run = path / "run.json"
    if current(path, CARD).is_file():
        return Card.load(path)
    if not run.is_file():
        what = f"has neither {CARD} nor run.json" if path.is_dir() else "does not exist"
        raise ResultError(f"{path} {what}: give a model folder or a run folder")
    try:
        document = read_json(run)
    except (OSError, ValueError) as error:
        raise ResultError(f"{run}: cannot be read ({error})") from error
    return Card.from_json(document.get("model") if isinstance(document, dict) else None, run)


def as_text(card: Mapping[str, Any]) -> str:
    """Return compact JSON, which is identical for equal content."""
    return json.dumps(card, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
