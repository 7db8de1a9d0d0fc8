"""Models: folders with weights, architecture, preprocessing, classes and provenance.

``model.json`` is the card (:mod:`oraclezoo.card`), ``model.safetensors`` holds the weights, always
in float32, and ``model.onnx``, if present, is the exported or quantized graph.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import nn

from oraclezoo.card import CARD, Card, OnnxEntry, WeightsEntry
from oraclezoo.card.receipt import Receipt
from oraclezoo.compression.torch_form import Form, InSizes, compiled
from oraclezoo.contracts import Images
from oraclezoo.engine.evaluate import BATCH_SIZE, probabilities, with_views
from oraclezoo.engine.images import Streamed
from oraclezoo.errors import UsageError
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import as_batch
from oraclezoo.notebook import Displayed
from oraclezoo.onnx_export.detector import Detector
from oraclezoo.onnx_export.shipped import Tempered
from oraclezoo.serving.prediction import Outputs, Prediction
from oraclezoo.storage import replace_files

if TYPE_CHECKING:
    from oraclezoo.onnx_export.session import OnnxClassifier

WEIGHTS, GRAPH, DETECTOR = "model.safetensors", "model.onnx", "unknown.safetensors"
"""The files in a model's folder other than its card."""

CHUNK_BYTES = 1 << 26
"""Size of the images in bytes above which they are moved to the model's device in batches."""

SIZES = (1, 32, BATCH_SIZE)
"""Batch sizes of a compiled model; smaller batches are padded to the next size."""


class Model(Displayed):
    """A trained classifier.

    Args:
        module: The backbone with its weights.
        card: The card of the model.
        onnx: Contents of ``model.onnx``; if None, the ONNX entry of the card is removed.
        form: Low-precision configuration for PyTorch; if None, its entry in the card is removed.
        detector: Detector for unknown characters; if None, its entry in the card is removed.
    """

    def __init__(
        self,
        module: nn.Module,
        card: Card,
        onnx: bytes | None = None,
        form: Form | None = None,
        detector: Detector | None = None,
    ) -> None:
        self.module, self.onnx, self.form = module.eval(), onnx, form
        self.detector = detector
        self.card = replace(
            card,
            onnx=card.onnx if onnx else None,
            form=card.form if form else None,
            unknown=card.unknown if detector else None,
        )
        self._session: OnnxClassifier | None = None
        self._running: dict[torch.device, nn.Module] = {}

    def _summary(self) -> dict[str, object]:
        card, size = self.card, self.card.input.image_size
        return {
            "backbone": card.backbone.name,
            "parameters": sum(parameter.numel() for parameter in self.module.parameters()),
            "classes": len(card.classes),
            "image_size": size,
            "onnx": card.onnx.precision if card.onnx else None,
            "recipe": card.provenance.recipe.name if card.provenance else None,
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """Display name of each class."""
        return self.card.classes

    @property
    def classifier(self) -> nn.Module:
        """The module with test-time augmentation and temperature scaling, if the card has them.

        It maps standardized images ``(N, 1, H, W)`` to float32 logits.
        """
        return self._around(self.module)

    def in_form(self, *, compile: bool | None = None) -> nn.Module:
        """Return a copy of the classifier in the model's low precision (float32 if it has none).

        By default the copy is compiled if ``form`` requires it. Raises UsageError for int8 without
        torchao.
        """
        net = self.module if self.form is None else self.form.applied(self.module)
        device, classifier = self._device, self._around(net)
        by_form = self.form is not None and self.form.compiles(device)
        needed = by_form if compile is None else compile
        return compiled(classifier, device) if needed else classifier

    def _around(self, net: nn.Module) -> nn.Module:
        steps, calibration = self.card.preprocessing, self.card.calibration
        net = with_views(net, steps.shifts, flip=steps.flip, mean=steps.mean, std=steps.std)
        if calibration is None or calibration.temperature == 1.0:
            return net
        return Tempered(net, calibration.temperature)

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    @property
    def precision(self) -> str:
        """The precision of predictions, one of fp32, fp16 and int8, or in PyTorch also bf16."""
        if self.card.onnx is not None:
            return self.card.onnx.precision
        return self.form.precision if self.form else "fp32"

    def predict(self, images: Any, *, polarity: Polarity = "auto") -> Prediction:
        """Predict labels and probabilities like :class:`oraclezoo.serving.predictor.Predictor`.

        A model with an ONNX file runs in ONNX Runtime on the CPU. Any other model runs in PyTorch,
        in its own precision, on the device that holds its weights.

        Args:
            images: Preprocessed uint8 images ``(N, S, S)``, where S is the model's image size, with
                bright strokes on black; or one picture, or an iterable of pictures, of any
                size and color: paths, file contents as bytes, Pillow images, or uint8 arrays
                of shape ``(H, W)`` or ``(H, W, 3 or 4)``.
            polarity: Polarity of the pictures.

        Raises:
            DataError: A picture cannot be read.
            UsageError: The input is not a picture, or an int8 model is used without torchao.
        """
        steps = self.card.preprocessing
        array = as_batch(images, self.card.input.image_size, polarity, steps.smoothing)
        if self.onnx:
            probs, scores = self.onnx_classifier().outputs(array)
            return Prediction.of(Outputs(probs, scores), self.threshold)
        device = self._device
        if not len(array):
            probs = np.zeros((0, len(self.classes)), np.float32)
            return Prediction.of(Outputs(probs, self._scores(array)), self.threshold)
        source: torch.Tensor | Streamed
        if isinstance(array, np.ndarray) and array.nbytes <= CHUNK_BYTES:
            source = torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)
        else:
            source = Streamed([array], device)
        predicted = probabilities(self._runner(), source, mean=steps.mean, std=steps.std)
        probs = predicted.cpu().numpy()
        return Prediction.of(Outputs(probs, self._scores(array)), self.threshold)

    @property
    def threshold(self) -> float | None:
        """Score at or above which an image counts as unknown; None if the model has no detector."""
        return None if self.card.unknown is None else self.card.unknown.threshold

    def _scores(self, images: Images) -> npt.NDArray[np.float32] | None:
        """Return the detector's scores for preprocessed images, on the CPU."""
        if self.detector is None:
            return None
        rows = [np.zeros(0, np.float32)]
        for start in range(0, len(images), BATCH_SIZE):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH_SIZE]))
            rows.append(self.detector.scores(batch).numpy())
        return np.concatenate(rows)

    def _runner(self) -> nn.Module:
        """Return the module for PyTorch predictions; a low-precision module is built only once."""
        if self.form is None:
            return self.classifier
        device = self._device
        if device not in self._running:
            net = self.in_form()
            self._running[device] = InSizes(net, SIZES) if self.form.compiles(device) else net
        return self._running[device]

    def onnx_classifier(self, where: str = GRAPH) -> OnnxClassifier:
        """Return the ONNX Runtime session for the ONNX file; the file is opened only once.

        Raises ResultError if the file does not match the model, and UsageError if there is no file.
        """
        if self.onnx is None:
            raise UsageError("this model has no ONNX file: export it first")
        if self._session is None:
            from oraclezoo.onnx_export.session import OnnxClassifier

            steps = self.card.preprocessing
            self._session = OnnxClassifier(
                self.onnx,
                image_size=self.card.input.image_size,
                classes=len(self.classes),
                mean=steps.mean,
                std=steps.std,
                where=where,
            )
        return self._session

    def to(self, device: torch.device | str) -> Model:
        """Move the weights to a device and return the model."""
        self.module.to(device)
        return self

    def weights(self) -> bytes:
        """Return the module's state dict in safetensors format."""
        # copies, because safetensors rejects tensors that share memory
        state = {k: v.cpu().contiguous().clone() for k, v in self.module.state_dict().items()}
        return save(state)

    def save(self, folder: str | Path) -> Path:
        """Write the model's files to a folder and return the folder.

        Replaces the files of an earlier model atomically: if the process is killed, the folder
        holds either the old or the new model. Raises UsageError if the folder is a run folder or
        in use by another process.
        """
        path = Path(folder)
        weights = self.weights()
        entry = WeightsEntry(WEIGHTS, hashlib.sha256(weights).hexdigest())
        card = replace(self.card, weights_file=entry).to_json()
        text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
        files = {WEIGHTS: weights, CARD: text.encode()}
        refuse_run(path)
        if self.onnx:
            files[GRAPH] = self.onnx
        if self.detector is not None:
            files[DETECTOR] = self.detector.to_bytes()
        replace_files(path, files)
        for name in {GRAPH, DETECTOR} - files.keys():
            (path / name).unlink(missing_ok=True)
        return path

    def with_onnx(
        self,
        content: bytes,
        *,
        precision: str,
        opset: int | None,
        input: str,
        versions: Mapping[str, str],
    ) -> Model:
        """Return a copy with an ONNX file; the other arguments describe the file in the card."""
        digest = hashlib.sha256(content).hexdigest()
        entry = OnnxEntry(GRAPH, digest, precision, opset, input, versions)
        card = replace(self.card, onnx=entry)
        return Model(self.module, card, content, detector=self.detector)

    def with_receipt(self, receipt: Receipt) -> Model:
        """Return a copy with an additional receipt in its card."""
        card = replace(self.card, receipts=(*self.card.receipts, receipt))
        return Model(self.module, card, self.onnx, self.form, self.detector)

    def with_form(self, form: Form) -> Model:
        """Return a low-precision copy; it has no ONNX file, which would take precedence."""
        card = replace(self.card, form=form.to_json())
        return Model(self.module, card, form=form, detector=self.detector)

    def as_float(self) -> Model:
        """Return the model in float32, for steps that change or export weights."""
        if not self.form:
            return self
        return Model(self.module, self.card, self.onnx, detector=self.detector)


def refuse_run(folder: Path) -> None:
    """Raise UsageError if a folder for a model contains a run, so that their files do not mix."""
    if (folder / "run.json").is_file():
        raise UsageError(f"{folder} holds a run: choose another folder for the model")
