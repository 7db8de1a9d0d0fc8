"""Export models to ONNX."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from oraclezoo.artifacts.model import Model
from oraclezoo.card import Unknown
from oraclezoo.onnx_export import onnx_file, unknown
from oraclezoo.onnx_export.detector import Detector
from oraclezoo.onnx_export.shipped import Shipped


def shipped(model: Model, *, preprocess: bool = True) -> nn.Module:
    """Return the module to export, on the CPU.

    The module includes test-time averaging over shifts and the temperature in the card.

    Args:
        model: The model.
        preprocess: Whether the module maps uint8 images to probabilities; otherwise it maps
            standardized images to logits.

    Returns:
        The module.
    """
    on_cpu = model
    if any(tensor.device.type != "cpu" for tensor in model.module.state_dict().values()):
        on_cpu = Model(copy.deepcopy(model.module).to("cpu"), model.card)
    classifier = on_cpu.classifier.to(memory_format=torch.contiguous_format)
    if not preprocess:
        return classifier
    steps = model.card.preprocessing
    return Shipped(classifier, steps.mean, steps.std)


def graph_of(model: Model, *, preprocess: bool = True, opset: int = onnx_file.OPSET) -> bytes:
    """Export a model as a float32 ONNX graph.

    Args:
        model: The model.
        preprocess: See :func:`shipped`.
        opset: ONNX opset version.

    Returns:
        The contents of the ONNX file.

    Raises:
        UsageError: If the model cannot be exported.
    """
    card, steps = model.card.metadata(), model.card.preprocessing
    content = onnx_file.to_onnx(
        shipped(model, preprocess=preprocess), **model.card.input.image, card=card, opset=opset
    )
    if model.detector is None:
        return content
    return unknown.attach(content, model.detector, mean=steps.mean, std=steps.std, card=card)


def without_detector(model: Model) -> Model:
    """Return a copy without the detector for unknown characters, in the card and the ONNX file."""
    bare = Model(model.module, model.card, model.onnx, model.form)
    if model.onnx is None:
        return bare
    return _with_graph(bare, unknown.detach(model.onnx, bare.card.metadata()))


def with_detector(model: Model, detector: Detector, entry: Unknown) -> Model:
    """Return a copy with a detector for unknown characters, in the card and the ONNX file."""
    card = replace(model.card, unknown=entry)
    detecting = Model(model.module, card, model.onnx, model.form, detector)
    if model.onnx is None:
        return detecting
    steps = card.preprocessing
    content = unknown.attach(
        model.onnx, detector, mean=steps.mean, std=steps.std, card=card.metadata()
    )
    return _with_graph(detecting, content)


def _with_graph(model: Model, content: bytes) -> Model:
    entry = model.card.onnx
    assert entry is not None
    return model.with_onnx(
        content,
        precision=entry.precision,
        opset=entry.opset,
        input=entry.input,
        versions=entry.versions,
    )
