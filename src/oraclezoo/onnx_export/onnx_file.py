"""ONNX: a module as the bytes of one file, checked."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import onnx
import torch
from onnx import helper
from torch import nn

from oraclezoo.card import CARD_KEY, as_text
from oraclezoo.errors import UsageError, VerificationError
from oraclezoo.onnx_export.fold import fold_scales_before_pooling
from oraclezoo.onnx_export.shipped import Shipped, example

OPSET = 20
"""The first with GELU as one node; ONNX Runtime knows it since 1.17."""
OPSETS = (18, 23)
"""The lowest and the highest that can be asked for."""
PRODUCER = "oraclezoo"


def to_onnx(
    module: nn.Module,
    *,
    in_chans: int,
    image_size: int,
    card: Mapping[str, Any],
    opset: int = OPSET,
) -> bytes:
    """Export a module on the CPU for any number of images, as one file with its weights inside.

    A :class:`Shipped` module takes ``images`` uint8 ``(N, H, W)`` and gives ``probabilities``; any
    other takes ``images`` float32 ``(N, in_chans, H, W)`` and gives ``logits``. ``card`` is written
    to the metadata. The file has passed ONNX's checker and shape inference. Raises UsageError if
    the module cannot be exported, with the reason.
    """
    low, high = OPSETS
    if not low <= opset <= high:
        raise UsageError(f"opset {opset} cannot be written; take one of {low} to {high}")
    output = "probabilities" if isinstance(module, Shipped) else "logits"
    try:
        with quietly():
            program = torch.onnx.export(
                module.eval(),
                (example(module, in_chans, image_size),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=opset,
                input_names=["images"],
                output_names=[output],
                external_data=False,
                verbose=False,
            )
        assert program is not None
        model = program.model_proto
    except Exception as error:  # the exporter wraps whatever a module's code may raise
        raise UsageError(f"this model cannot be exported to ONNX: {reason_of(error)}") from error
    fold_scales_before_pooling(model)
    _strip(model)
    describe(model, card)
    return checked(model)


def checked(model: onnx.ModelProto) -> bytes:
    """The model's bytes, once checker and shape inference have passed it.

    Raises VerificationError otherwise.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise VerificationError(f"the ONNX file is not sound: {reason_of(error)}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def describe(model: onnx.ModelProto, card: Mapping[str, Any]) -> None:
    """Write card and producer to the model, and drop operator sets that nothing in it uses."""
    from oraclezoo._version import __version__

    used = {node.domain for node in model.graph.node} | {""}
    for unused in [given for given in model.opset_import if given.domain not in used]:
        model.opset_import.remove(unused)
    model.producer_name, model.producer_version = PRODUCER, __version__
    helper.set_model_props(model, {CARD_KEY: as_text(card)})


def version() -> str:
    """Of the onnx library."""
    return str(onnx.__version__)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a model uses."""
    return next(int(given.version) for given in model.opset_import if given.domain == "")


def _strip(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes of its source: stack traces with paths, names of modules."""
    graph = model.graph
    model.doc_string = graph.doc_string = ""
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    for tensor in graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""


def reason_of(error: Exception) -> str:
    """The first line of the innermost error, since the exporter's own are pages long."""
    inner: BaseException = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    return f"{type(inner).__name__}: {lines[0] if lines else 'no reason given'}"[:300]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """The exporter prints and warns of its own progress; its errors are enough."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
