"""Export a module to a PT2 file (a saved ``torch.export.ExportedProgram``)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from oraclezoo.card import CARD_KEY, as_text
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.onnx_export.onnx_file import quietly, reason_of
from oraclezoo.onnx_export.shipped import example


def to_pt2(module: nn.Module, *, in_chans: int, image_size: int, card: Mapping[str, Any]) -> bytes:
    """Return the bytes of a ``.pt2`` file with the module's graph and weights, for any batch size.

    Inputs and outputs are the same as in :func:`oraclezoo.onnx_export.onnx_file.to_onnx`. The model
    card ``card`` is stored as the extra file ``oraclezoo.card``.

    Raises:
        UsageError: The module cannot be exported.
    """
    images = example(module, in_chans, image_size)
    try:
        with quietly():
            program = torch.export.export(
                module.eval(), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},)
            )
    except Exception as error:  # a module's code can raise errors of any type
        raise UsageError(f"this model cannot be exported by torch: {reason_of(error)}") from error
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={CARD_KEY: as_text(card)})
    return file.getvalue()


def load_pt2(content: bytes, where: str = "the .pt2 file") -> nn.Module:
    """Load the module in a ``.pt2`` file on the CPU. Raises ResultError if it cannot be read."""
    try:
        return torch.export.load(io.BytesIO(content)).module()
    except Exception as error:  # torch raises errors of many types for a truncated file
        raise ResultError(f"{where} cannot be read by torch: {reason_of(error)}") from error
