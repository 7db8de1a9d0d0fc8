"""Quantize a model for PyTorch on a GPU or CPU, and write its receipt."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from oraclezoo.artifacts.model import SIZES, Model
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run, writing_model
from oraclezoo.card.receipt import Receipt
from oraclezoo.compression.torch_form import Form, int8_macs, weighted_layers
from oraclezoo.engine.device import exact_float32, pick
from oraclezoo.errors import UsageError
from oraclezoo.measure import size
from oraclezoo.onnx_export.onnx_file import reason_of
from oraclezoo.plugins.registry import Registry
from oraclezoo.quantization.options import Coverage, TorchReport, TorchTarget
from oraclezoo.receipts.measurement import Gates, Measurement
from oraclezoo.receipts.receipt import Step, prove

PUBLISHED = ("weights", "result")
"""Entries of a published model's card that describe its files and its ONNX file's score."""


@writing_model
def quantize_torch(
    model: Model | Run | str | Path,
    out: str | Path | None,
    target: TorchTarget,
    measurement: Measurement,
    gates: Gates,
    registry: Registry,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Quantize a model for PyTorch, like :func:`oraclezoo.quantize` with ``backend="torch"``."""
    device = pick(target.device)
    form = Form.make(target.precision, target.compile, device)
    opened = open_model(model, registry)
    before = Model(
        copy.deepcopy(opened.module).to("cpu"), opened.card, detector=opened.detector
    )  # float32, without an ONNX graph
    extra = {key: value for key, value in before.card.extra.items() if key not in PUBLISHED}
    after = Model(
        before.module, replace(before.card, extra=extra), detector=before.detector
    ).with_form(form)
    dataset = open_data(
        before, registry, track=measurement.track, data_dir=measurement.data_dir, progress=progress
    )
    report = TorchReport(device.type, form, form.compiles(device), _coverage(before, form))
    if progress:
        progress(f"{target.precision} on {device}{', compiled' if report.compiled else ''}")
    before.to(device)
    _try(after, device)
    compiled = ("compiled",) if report.compiled else ()
    runtimes = (("eager", *compiled), compiled or ("eager",))
    step = Step("quantize", before, after, report, runtimes, str(device))
    receipt = prove(step, dataset, measurement, progress)
    receipt = receipt.with_notes(
        first=tuple(_coverage_notes(report)), last=tuple(_notes(receipt, report))
    )
    gates.check(receipt)
    quantized = after.with_receipt(gates.passed(receipt)).to("cpu")
    if out is not None:
        quantized.save(out)
    return quantized


def _coverage(model: Model, form: Form) -> Coverage | None:
    """Return the part of a model that int8 covers, or None for other precisions.

    Raises:
        UsageError: The model has no layers that int8 can quantize.
    """
    if form.precision != "int8":
        return None
    shape = model.card.input
    image = torch.zeros(1, shape.in_chans, shape.image_size, shape.image_size)
    macs = int8_macs(model.classifier, image)
    if not macs:
        raise UsageError(
            "this model has no linear layers, the only layers that backend torch converts to int8; "
            "choose bf16 or fp16"
        )
    return Coverage(
        layers=weighted_layers(model.module),
        int8_layers=len(macs),
        int8_macs=sum(macs.values()),
        int8_macs_share=sum(macs.values()) / size.macs(model.classifier, **shape.image),
    )


def _try(model: Model, device: torch.device) -> None:
    """Run a model once in its precision. Raises UsageError with the reason if that fails."""
    edge = model.card.input.image_size
    assert model.form is not None
    compiles = model.form.compiles(device)
    count = SIZES[-1] if compiles else 1  # the batch size that scoring compiles for
    try:
        with warnings.catch_warnings(), exact_float32():
            warnings.simplefilter("ignore")  # libraries warn about other libraries' code
            model.predict(np.zeros((count, edge, edge), np.uint8))
    except UsageError:
        raise
    except Exception as error:  # backbones, torchao and compilers may raise errors of any type
        advice = "; try --compile off" if compiles else ""
        form = f"{model.precision} on {device}{', compiled' if compiles else ''}"
        raise UsageError(
            f"this model does not run in {form}: {reason_of(error)}{advice}"
        ) from error


def _coverage_notes(report: TorchReport) -> Iterator[str]:
    coverage = report.coverage
    if coverage is not None:
        yield (
            f"int8 covers {coverage.int8_layers} of {coverage.layers} layers, the linear ones, "
            f"with {100 * coverage.int8_macs_share:.3g}% of the multiply-accumulates; the rest is "
            f"{report.form.rest}"
        )


def _notes(receipt: Receipt, report: TorchReport) -> Iterator[str]:
    yield "the weights stay float32 on disk, and in memory in addition to the converted ones"
    yield from _compilation_notes(receipt)
    if report.device == "cuda":
        yield "float32 was measured without TF32, which torch uses for convolutions by default"


def _compilation_notes(receipt: Receipt) -> Iterator[str]:
    """Yield a note with the speed-up of float32 from torch.compile alone."""
    rows = receipt.before.latency
    by_setting = {(row.runtime, row.batch_size, row.threads): row for row in rows}
    for row in rows:
        compiled = by_setting.get(("compiled", row.batch_size, row.threads))
        if row.runtime == "eager" and compiled:
            yield (
                f"torch.compile alone makes float32 {row.p50_ms / compiled.p50_ms:.2f} times as "
                f"fast as eager: {row.setting_text}"
            )
