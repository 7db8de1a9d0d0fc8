"""PT2: a module as torch's own exported program."""

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
    """The bytes of a ``.pt2`` file: the module's graph and weights for any number of images.

    Inputs and outputs as of :func:`oraclezoo.onnx_export.onnx_file.to_onnx`; ``card`` is kept as
    the extra file ``oraclezoo.card``. Raises UsageError if the module cannot be exported.
    """
    given = example(module, in_chans, image_size)
    try:
        with quietly():
            program = torch.export.export(
                module.eval(), (given,), dynamic_shapes=({0: torch.export.Dim("batch")},)
            )
    except Exception as error:  # whatever a module's code may raise
        raise UsageError(f"this model cannot be exported by torch: {reason_of(error)}") from error
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={CARD_KEY: as_text(card)})
    return file.getvalue()


def load_pt2(content: bytes, where: str = "the .pt2 file") -> nn.Module:
    """The module of a ``.pt2`` file, on the CPU. Raises ResultError if it cannot be read."""
    try:
        return torch.export.load(io.BytesIO(content)).module()
    except Exception as error:  # torch raises many kinds for a file that is cut short
        raise ResultError(f"{where} cannot be read by torch: {reason_of(error)}") from error
