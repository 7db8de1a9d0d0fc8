"""Models: a folder with weights, architecture, preprocessing, classes and provenance.

``model.json`` is the card, ``model.safetensors`` the weights, and ``model.onnx``, if it exists, the
exported or quantized graph. Optional entries of the card:

``onnx``         file, sha256, opset, precision (fp32, fp16 or int8), input (uint8 or float32)
``form``         low-precision form in PyTorch (:mod:`oraclezoo.compression.torch_form`); the
                 weights stay float32
``receipts``     reports of the compression steps, in order (:mod:`oraclezoo.receipts.receipt`)
``calibration``  ``temperature``, by which logits are divided before the softmax
``plan``         pruned channels of the backbone
                 (:mod:`oraclezoo.compression.channels.plan`)
``recipe``       recipe of training and fine-tuning of a pruned model
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from oraclezoo.artifacts.build import build_backbone
from oraclezoo.artifacts.plugins import check_backbone
from oraclezoo.card import SCHEMA, backbone_of, smoothing_of
from oraclezoo.compression.channels.plan import Plan
from oraclezoo.compression.torch_form import Form, InSizes, compiled
from oraclezoo.engine.evaluate import BATCH_SIZE, probabilities, with_views
from oraclezoo.engine.images import Streamed
from oraclezoo.errors import OracleZooError, ResultError, UsageError
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import as_batch
from oraclezoo.onnx_export.shipped import Tempered
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.serving.names import locate
from oraclezoo.serving.prediction import Prediction
from oraclezoo.storage import write_atomically

if TYPE_CHECKING:
    from oraclezoo.onnx_export.session import OnnxClassifier

CARD, WEIGHTS, GRAPH = "model.json", "model.safetensors", "model.onnx"
"""The files of a model's folder."""

PRECISIONS = ("fp32", "fp16", "int8")
"""Precisions of an ONNX graph."""

AT_ONCE_BYTES = 1 << 26
"""Size in bytes above which images are moved to the model's device in batches."""

SIZES = (1, 32, BATCH_SIZE)
"""Batch sizes for which a compiled form is compiled; other batches are padded to the next."""


class Model:
    """A trained classifier.

    Args:
        module: The backbone with its weights.
        card: Content of ``model.json``: backbone, input shape, preprocessing, classes, provenance.
        onnx: Content of ``model.onnx``; without it the card's entry is dropped.
        form: Low-precision form in PyTorch; without it the card's entry is dropped.
    """

    def __init__(
        self,
        module: nn.Module,
        card: dict[str, Any],
        onnx: bytes | None = None,
        form: Form | None = None,
    ) -> None:
        self.module, self.onnx, self.form = module.eval(), onnx, form
        gone = {key for key, value in (("onnx", onnx), ("form", form)) if not value}
        self.card = {key: card[key] for key in card if key not in gone}
        self._session: OnnxClassifier | None = None
        self._running: dict[torch.device, nn.Module] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        """Display name of each class."""
        return tuple(self.card["classes"])

    @property
    def classifier(self) -> nn.Module:
        """The module with test-time augmentation and temperature scaling, if the card has them.

        It maps standardised images ``(N, 1, H, W)`` to float32 logits.
        """
        return self._around(self.module)

    def in_form(self, *, compile: bool | None = None) -> nn.Module:
        """Return a copy of the classifier in the model's form, or in float32 without one.

        By default it is compiled if the form requires it. Raises UsageError for int8 without
        torchao.
        """
        net = self.module if self.form is None else self.form.applied(self.module)
        device, whole = self._device, self._around(net)
        by_form = self.form is not None and self.form.compiles(device)
        return compiled(whole, device) if (by_form if compile is None else compile) else whole

    def _around(self, net: nn.Module) -> nn.Module:
        scale = self.card["preprocessing"]
        pixels = scale.get("shifts", 0)
        flip = scale.get("flip", False)
        net = with_views(net, pixels, flip=flip, mean=scale["mean"], std=scale["std"])
        temperature = self.card.get("calibration", {}).get("temperature", 1.0)
        return net if temperature == 1.0 else Tempered(net, temperature)

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    @property
    def precision(self) -> str:
        """Precision of predictions (fp32, fp16 or int8, or bf16 in PyTorch)."""
        if self.onnx:
            return str(self.card["onnx"]["precision"])
        return self.form.precision if self.form else "fp32"

    def predict(self, images: Any, *, polarity: Polarity = "auto") -> Prediction:
        """Predict labels and probabilities, as a :class:`oraclezoo.serving.predictor.Predictor`.

        A model with an ONNX file predicts with it on the CPU, another one in its form on the device
        of its weights.

        Args:
            images: Prepared images uint8 ``(N, S, S)`` of the model's size, with bright strokes on
                black; or one picture, or an iterable of pictures, of any size and colour: paths,
                file contents as bytes, Pillow images, or uint8 ``(H, W)`` or ``(H, W, 3 or 4)``.
            polarity: Polarity of pictures.

        Raises:
            DataError: A picture cannot be read.
            UsageError: The input is not a picture, or the form needs torchao.
        """
        given, scale = self.card["input"], self.card["preprocessing"]
        array = as_batch(images, given["image_size"], polarity, smoothing_of(scale))
        if self.onnx:
            found = self.onnx_classifier().probabilities(array)
            return Prediction(found.argmax(1).astype(np.int64), found)
        device = self._device
        if not len(array):
            classes = len(self.classes)
            return Prediction(np.zeros(0, np.int64), np.zeros((0, classes), np.float32))
        source: torch.Tensor | Streamed
        if isinstance(array, np.ndarray) and array.nbytes <= AT_ONCE_BYTES:
            source = torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)
        else:
            source = Streamed([array], device)
        probs = probabilities(self._runner(), source, mean=scale["mean"], std=scale["std"])
        found = probs.cpu().numpy()
        return Prediction(found.argmax(1).astype(np.int64), found)

    def _runner(self) -> nn.Module:
        """Return the module that predicts in PyTorch; a form is built once."""
        if self.form is None:
            return self.classifier
        device = self._device
        if device not in self._running:
            net = self.in_form()
            self._running[device] = InSizes(net, SIZES) if self.form.compiles(device) else net
        return self._running[device]

    def onnx_classifier(self, where: str = GRAPH) -> OnnxClassifier:
        """Return the ONNX file's session in ONNX Runtime, which is opened once.

        Raises ResultError if the file does not match the model, UsageError if there is none.
        """
        if self.onnx is None:
            raise UsageError("this model has no ONNX file: export it first")
        if self._session is None:
            from oraclezoo.onnx_export.session import OnnxClassifier

            scale = self.card["preprocessing"]
            self._session = OnnxClassifier(
                self.onnx,
                image_size=self.card["input"]["image_size"],
                classes=len(self.classes),
                mean=scale["mean"],
                std=scale["std"],
                where=where,
            )
        return self._session

    def to(self, device: torch.device | str) -> Model:
        """Move the weights to a device and return the model."""
        self.module.to(device)
        return self

    def weights(self) -> bytes:
        """Return the state of the module as the content of a safetensors file."""
        # copies, since safetensors refuses weights that share memory
        state = {k: v.cpu().contiguous().clone() for k, v in self.module.state_dict().items()}
        return save(state)

    def save(self, folder: str | Path) -> Path:
        """Write the model's files to a folder and return it; the card is written last."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / WEIGHTS, self.weights())
        if self.onnx:
            write_atomically(path / GRAPH, self.onnx)
        text = json.dumps(self.card, indent=2, ensure_ascii=False) + "\n"
        write_atomically(path / CARD, text.encode())
        if not self.onnx:
            (path / GRAPH).unlink(missing_ok=True)
        return path

    def with_onnx(self, content: bytes, **entry: Any) -> Model:
        """Return a copy with an ONNX file; ``entry`` is its entry in the card without digest."""
        digest = hashlib.sha256(content).hexdigest()
        card = {**self.card, "onnx": {"file": GRAPH, "sha256": digest, **entry}}
        return Model(self.module, card, content)

    def with_receipt(self, receipt: dict[str, Any]) -> Model:
        """Return a copy with another receipt in its card."""
        card = {**self.card, "receipts": [*self.card.get("receipts", []), receipt]}
        return Model(self.module, card, self.onnx, self.form)

    def with_form(self, form: Form) -> Model:
        """Return a copy with this form and without an ONNX file, which would take precedence."""
        return Model(self.module, {**self.card, "form": form.to_json()}, form=form)

    def as_float(self) -> Model:
        """Return the model without its form, for steps that change or export weights."""
        return Model(self.module, self.card, self.onnx) if self.form else self


def load(model: str | Path, registry: Registry | None = None) -> Model:
    """Load a model on the CPU.

    Args:
        model: A name (see ``oraclezoo models list``), or the folder of a saved model.
        registry: Registry of components; by default all that are installed.

    Raises:
        ResultError: A file is missing, broken, or does not match the card.
        UnknownNameError: There is no model of this name.
        DownloadError: The model cannot be downloaded.
    """
    known = registry or build_registry()
    path = locate(model, lambda: known)
    try:
        card = json.loads((path / CARD).read_text(encoding="utf-8"))
        if card["schema"] != SCHEMA:
            raise ValueError(f"schema is {card['schema']!r}, not {SCHEMA!r}")
        state = load_file(path / WEIGHTS)
        graph, form = _read_graph(path, card), _read_form(card)
    except FileNotFoundError as error:
        raise ResultError(f"{path} is not a model folder: {error.filename} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ResultError(f"{path}: the model cannot be read ({error})") from error
    module = assemble(card, state, known, str(path)).module
    whole = Model(module, card, graph, form)
    if graph is not None:
        whole.onnx_classifier(str(path / GRAPH))
    return whole


def _read_form(card: dict[str, Any]) -> Form | None:
    """Return the form in a card. Raises ValueError if it is invalid or there is a graph too."""
    entry = card.get("form")
    if entry is not None and card.get("onnx") is not None:
        raise ValueError("its card has entries both on ONNX and on a form for torch")
    return None if entry is None else Form.from_json(entry)


def _read_graph(path: Path, card: dict[str, Any]) -> bytes | None:
    """Return the content of a card's ONNX file. Raises ValueError if its digest differs."""
    entry = card.get("onnx")
    if entry is None:
        return None
    if entry["file"] != GRAPH or entry["precision"] not in PRECISIONS:
        raise ValueError(f"its card's entry on ONNX is {entry}")
    content = (path / GRAPH).read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ValueError(f"{GRAPH} is not the file that its card names (sha256)")
    return content


def assemble(
    card: dict[str, Any], state: dict[str, torch.Tensor], registry: Registry, where: str
) -> Model:
    """Build the backbone of a card, prune it by the card's plan and load its weights.

    Args:
        card: Content of ``model.json``.
        state: The weights.
        registry: Registry of backbones.
        where: Path of the model, for errors.

    Raises:
        ResultError: Card and weights do not match.
        UsageError: The backbone or one of its options is unknown.
    """
    try:
        name, options, shape = backbone_of(card)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ResultError(f"{where}: its card is not one of a model ({error!r})") from error
    check_backbone(card, registry, where)
    try:
        plan = Plan.from_json(card["plan"]) if "plan" in card else None
        outline = _outline(registry, name, options, shape, plan)
    except ResultError as error:
        raise ResultError(f"{where}: {error}") from error
    stated = {key: tuple(value.shape) for key, value in state.items()}
    expected = {key: tuple(value.shape) for key, value in outline.items()}
    if outline and stated != expected:
        wrong = sorted(k for k in stated | expected if stated.get(k) != expected.get(k))[0]
        raise ResultError(
            f"{where}: the weights do not fit backbone {name}: {wrong} is {stated.get(wrong)}, "
            f"it takes {expected.get(wrong)}"
        )
    module = build_backbone(registry, name, options, shape)
    try:
        if plan is not None:
            plan.apply(module)
        module.load_state_dict(state)
    except ResultError as error:
        raise ResultError(f"{where}: {error}") from error
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ResultError(f"{where}: the weights do not fit backbone {name}: {first}") from error
    return Model(module, card)


def _outline(
    registry: Registry,
    name: str,
    options: dict[str, Any],
    shape: dict[str, int],
    plan: Plan | None,
) -> dict[str, torch.Tensor]:
    """Return a backbone's state on the meta device, since a card may ask for any size.

    It is empty for a backbone that cannot be built there.
    """
    try:
        with torch.device("meta"):
            module = build_backbone(registry, name, options, shape)
            return (module if plan is None else plan.apply(module)).state_dict()
    except OracleZooError:
        raise
    except Exception:  # a plugin's constructor may read values, for instance
        return {}
