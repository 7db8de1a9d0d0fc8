"""Model: weights, how to build them, preprocessing, classes and provenance, as one folder.

``model.json`` is the card, ``model.safetensors`` the weights, ``model.onnx`` the same model as an
exported or quantized graph, where there is one. The card may also have

``onnx``         file, sha256, opset, precision (fp32, fp16 or int8), input (uint8 or float32)
``form``         how torch runs it in fewer bits (:mod:`oraclezoo.compression.torch_form`); the
                 weights stay float32
``receipts``     what each step of compression did, in order (:mod:`oraclezoo.receipts.receipt`)
``calibration``  ``temperature``, by which logits are divided before the softmax
``plan``         which channels of the backbone were pruned
                 (:mod:`oraclezoo.compression.channels.plan`)
``recipe``       what a pruned model was trained and fine-tuned by
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
from oraclezoo.result import write_atomically
from oraclezoo.serving.names import locate
from oraclezoo.serving.prediction import Prediction

if TYPE_CHECKING:
    from oraclezoo.onnx_export.session import OnnxClassifier


CARD, WEIGHTS, GRAPH = "model.json", "model.safetensors", "model.onnx"
"""The files of a model's folder."""

PRECISIONS = ("fp32", "fp16", "int8")
"""Of a graph's weights and of the bulk of its arithmetic."""

AT_ONCE_BYTES = 1 << 26
"""Images that take more are moved to the model's device in batches."""

SIZES = (1, 32, BATCH_SIZE)
"""Batches for which a form that is compiled is: any other is filled up to the next of them."""


class Model:
    """A trained classifier that can be used, saved and loaded.

    ``card`` is the content of ``model.json``: how to build the backbone, its input shape, the
    preprocessing, the classes and where it all came from. ``onnx`` is the content of
    ``model.onnx``, if there is one, which the card describes; ``form`` how torch runs the module,
    if not in float32. What is made from a model by new weights has neither: leave them out, and
    the card's entries go.
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
        """A display name for each class."""
        return tuple(self.card["classes"])

    @property
    def classifier(self) -> nn.Module:
        """Standardised images ``(N, 1, H, W)`` -> logits in float32; all that a prediction costs.

        The module itself, or one around it that averages over shifts and divides the logits by a
        temperature, where the card says so.
        """
        return self._around(self.module)

    def in_form(self, *, compile: bool | None = None) -> nn.Module:
        """The classifier in the model's form, a copy on the module's device; float32 without one.

        Compiled if ``compile`` says so, by default if the form does. Raises UsageError for int8
        without torchao.
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
        """Of what predicts: fp32, fp16 or int8; bf16 in torch alone."""
        if self.onnx:
            return str(self.card["onnx"]["precision"])
        return self.form.precision if self.form else "fp32"

    def predict(self, images: Any, *, polarity: Polarity = "auto") -> Prediction:
        """Labels and probabilities, as :meth:`oraclezoo.serving.predictor.Predictor.predict`.

        ``images`` is uint8 ``(N, S, S)`` of the size trained on, taken as prepared (bright strokes
        on black; those that stay in a file, contracts.Images, are read a batch at a time), or a
        picture, or an iterable of pictures of any size, colour and ``polarity``: files, the bytes
        of one, images of Pillow's, uint8 ``(H, W)`` or ``(H, W, 3 or 4)``. A model with an ONNX
        file predicts with that, on the CPU; another where its weights are, in its form. Raises
        DataError for a picture that cannot be read, UsageError for what is none, and for a form
        that needs torchao without it.
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
        """What predicts in torch; a form is made once, since that takes time."""
        if self.form is None:
            return self.classifier
        device = self._device
        if device not in self._running:
            net = self.in_form()
            self._running[device] = InSizes(net, SIZES) if self.form.compiles(device) else net
        return self._running[device]

    def onnx_classifier(self, where: str = GRAPH) -> OnnxClassifier:
        """The ONNX file in ONNX Runtime, opened once. Raises ResultError if it is not this model's.

        Raises UsageError if there is none.
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
        """Move the weights to a device; returns the model itself."""
        self.module.to(device)
        return self

    def weights(self) -> bytes:
        """The state of the module as the content of a safetensors file."""
        # copies, since safetensors refuses weights that share memory
        state = {k: v.cpu().contiguous().clone() for k, v in self.module.state_dict().items()}
        return save(state)

    def save(self, folder: str | Path) -> Path:
        """Write the model's files into a folder, made if need be; the card comes last."""
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
        """A copy that has this ONNX file; ``entry`` is the card's, its digest is added."""
        digest = hashlib.sha256(content).hexdigest()
        card = {**self.card, "onnx": {"file": GRAPH, "sha256": digest, **entry}}
        return Model(self.module, card, content)

    def with_receipt(self, receipt: dict[str, Any]) -> Model:
        """A copy whose card has one more receipt."""
        card = {**self.card, "receipts": [*self.card.get("receipts", []), receipt]}
        return Model(self.module, card, self.onnx, self.form)

    def with_form(self, form: Form) -> Model:
        """A copy that torch runs in this form; without an ONNX file, which would predict first."""
        return Model(self.module, {**self.card, "form": form.to_json()}, form=form)

    def as_float(self) -> Model:
        """The model without its form, which steps that change or export weights start from."""
        return Model(self.module, self.card, self.onnx) if self.form else self


def load(model: str | Path, registry: Registry | None = None) -> Model:
    """A model on the CPU: by name (``oraclezoo models list``), or a folder that it was saved in.

    Raises ResultError if a file is absent, broken, or does not fit its card; UnknownNameError,
    DownloadError.
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
    """The form that a card states. Raises ValueError if that is none, or there is a graph too."""
    entry = card.get("form")
    if entry is not None and card.get("onnx") is not None:
        raise ValueError("its card has entries both on ONNX and on a form for torch")
    return None if entry is None else Form.from_json(entry)


def _read_graph(path: Path, card: dict[str, Any]) -> bytes | None:
    """The bytes of the ONNX file that a card names. Raises ValueError if they are others."""
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
    """Build the backbone that a card names, cut it by the card's plan and give it its weights.

    Raises ResultError if card and weights do not fit; UnknownNameError or another UsageError if
    the backbone or an option of it is not known here.
    """
    try:
        name, options, shape = backbone_of(card)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ResultError(f"{where}: its card is not one of a model ({error!r})") from error
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
    """A backbone's state without memory behind it, since a card may ask for any size.

    Empty for a backbone that cannot be built in this way.
    """
    try:
        with torch.device("meta"):
            module = build_backbone(registry, name, options, shape)
            return (module if plan is None else plan.apply(module)).state_dict()
    except OracleZooError:
        raise
    except Exception:  # a plugin's constructor may do anything, such as look at values
        return {}
