"""Export of a model to the bytes of an ONNX file, with metadata from its card."""

from __future__ import annotations

import copy

import torch
from torch import nn

from oraclezoo.artifacts.model import Model
from oraclezoo.card import metadata
from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.shipped import Shipped


def shipped(model: Model, *, preprocess: bool = True) -> nn.Module:
    """Return the module to export, on the CPU: uint8 images to probabilities, or to logits.

    Without ``preprocess`` it takes standardised images and omits the softmax. Both variants include
    test-time augmentation and temperature scaling.
    """
    on_cpu = model
    if any(tensor.device.type != "cpu" for tensor in model.module.state_dict().values()):
        on_cpu = Model(copy.deepcopy(model.module).to("cpu"), model.card)
    classifier = on_cpu.classifier.to(memory_format=torch.contiguous_format)
    if not preprocess:
        return classifier
    scale = model.card["preprocessing"]
    return Shipped(classifier, scale["mean"], scale["std"])


def graph_of(model: Model, *, preprocess: bool = True, opset: int = onnx_file.OPSET) -> bytes:
    """Return the float32 ONNX file of a model. Raises UsageError if it cannot be exported."""
    given = model.card["input"]
    return onnx_file.to_onnx(
        shipped(model, preprocess=preprocess),
        in_chans=given["in_chans"],
        image_size=given["image_size"],
        card=metadata(model.card),
        opset=opset,
    )
