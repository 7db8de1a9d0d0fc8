"""Export a module to ONNX, and check the result."""

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
"""Default opset: the first that has GELU as a single node; supported since ONNX Runtime 1.17."""
OPSETS = (18, 23)
"""The lowest and the highest supported opset."""
PRODUCER = "oraclezoo"


def to_onnx(
    module: nn.Module,
    *,
    in_chans: int,
    image_size: int,
    card: Mapping[str, Any],
    opset: int = OPSET,
) -> bytes:
    """Export a module to an ONNX file that contains its weights and accepts any batch size.

    The graph of a :class:`Shipped` module maps ``images``, uint8 ``(N, H, W)``, to
    ``probabilities`` ``(N, C)``. The graph of any other module maps ``images``, float32
    ``(N, in_chans, H, W)``, to ``logits`` ``(N, C)``.

    Args:
        module: The module, on the CPU.
        in_chans: Number of input channels.
        image_size: Height and width of the images in pixels.
        card: Model card to store in the file's metadata.
        opset: Version of the ONNX operator set (opset).

    Returns:
        The bytes of the file, which passes ONNX's checker and shape inference.

    Raises:
        UsageError: The module cannot be exported, or the opset is not supported.
    """
    low, high = OPSETS
    if not low <= opset <= high:
        raise UsageError(f"opset {opset} is not supported; choose one of {low} to {high}")
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
    except Exception as error:  # a module's code can raise errors of any type
        raise UsageError(f"this model cannot be exported to ONNX: {reason_of(error)}") from error
    fold_scales_before_pooling(model)
    _strip(model)
    describe(model, card)
    return checked(model)


def checked(model: onnx.ModelProto) -> bytes:
    """Return the bytes of a model after ONNX's checker and shape inference.

    Raises:
        VerificationError: The model does not pass the checks.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise VerificationError(f"the ONNX file is invalid: {reason_of(error)}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def describe(model: onnx.ModelProto, card: Mapping[str, Any]) -> None:
    """Store model card and producer in the model's metadata, and remove unused opset imports."""
    from oraclezoo._version import __version__

    used = {node.domain for node in model.graph.node} | {""}
    for unused in [opset for opset in model.opset_import if opset.domain not in used]:
        model.opset_import.remove(unused)
    model.producer_name, model.producer_version = PRODUCER, __version__
    helper.set_model_props(model, {CARD_KEY: as_text(card)})


def version() -> str:
    """Return the version of the onnx package."""
    return str(onnx.__version__)


def _strip(model: onnx.ModelProto) -> None:
    """Remove the metadata that the exporter adds, such as stack traces with paths."""
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
    """Return the first line of the root cause; the exporter's full messages are pages long."""
    inner: BaseException = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    return f"{type(inner).__name__}: {lines[0] if lines else 'no reason given'}"[:300]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress the exporter's output and warnings; errors are raised as usual."""
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
