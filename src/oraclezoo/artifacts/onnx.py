"""Export of a model to ONNX."""

from __future__ import annotations

import copy

import torch
from torch import nn

from oraclezoo.artifacts.model import Model
from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.shipped import Shipped


def shipped(model: Model, *, preprocess: bool = True) -> nn.Module:
    """Return the module to export, on the CPU.

    The module includes test-time averaging over shifts and the card's temperature.

    Args:
        model: The model.
        preprocess: Whether it maps uint8 images to probabilities; otherwise it maps standardized
            images to logits.

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
        preprocess: As for :func:`shipped`.
        opset: ONNX operator set.

    Returns:
        The bytes of the ONNX file.

    Raises:
        UsageError: If the model cannot be exported.
    """
    return onnx_file.to_onnx(
        shipped(model, preprocess=preprocess),
        **model.card.input.image,
        card=model.card.metadata(),
        opset=opset,
    )
