"""Job (see :mod:`oraclezoo.jobs`) that times one model in one runtime for a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.jobs import Channel


@dataclass(frozen=True)
class Timing:
    """Request to time a model.

    Attributes:
        runtime: ``"onnxruntime"``, ``"eager"`` or ``"compiled"``.
        path: An ONNX file for ONNX Runtime, otherwise a model folder.
        image_size: Width and height of the model's input in pixels.
        precision: Precision of the ONNX file, which is copied to the latency rows.
        device: Device for PyTorch's runtimes.
        settings: Pairs of batch size and number of threads to time.
        budget_s: Approximate time per setting, in seconds.
        min_repeats: Minimum number of timed passes per setting.
    """

    ACTION: ClassVar[str] = "oraclezoo.receipts.actions:time_model"

    runtime: str
    path: Path
    image_size: int
    precision: str
    device: str
    settings: tuple[tuple[int, int], ...]
    budget_s: float
    min_repeats: int


@dataclass(frozen=True)
class Timed:
    """Latency of a model in one runtime.

    Attributes:
        rows: Latency at each setting.
        peak_memory_bytes: Peak resident memory of the process; None if it is unknown.
        peak_device_memory_bytes: Peak memory of tensors on a GPU; None on other devices.
        compile_s: Compilation time; None if the model is not compiled.
    """

    rows: tuple[LatencyRow, ...]
    peak_memory_bytes: int | None
    peak_device_memory_bytes: int | None
    compile_s: float | None


def time_model(request: Timing, channel: Channel) -> None:
    """Time a model and send one :class:`Timed` event; ONNX Runtime is timed without torch."""
    from oraclezoo.measure.memory import peak_bytes

    compile_s = device_bytes = None
    if request.runtime == "onnxruntime":
        from oraclezoo.measure.ort import onnx

        rows = onnx(
            request.path,
            image_size=request.image_size,
            precision=request.precision,
            settings=request.settings,
            budget_s=request.budget_s,
            min_repeats=request.min_repeats,
        )
    else:
        rows, compile_s, device_bytes = _time_torch(request)
    channel.send(Timed(tuple(rows), peak_bytes(), device_bytes, compile_s))


def _time_torch(request: Timing) -> tuple[list[LatencyRow], float | None, int | None]:
    """Return the latency rows, the compilation time in seconds and the peak device memory."""
    import torch

    from oraclezoo.artifacts.load import load
    from oraclezoo.engine.device import exact_float32, peak_memory_bytes, pick
    from oraclezoo.measure import latency
    from oraclezoo.measure.repeats import Repeats

    device, model = pick(request.device), load(request.path)
    shape = model.card.input.image
    model.module.to(device).to(memory_format=torch.channels_last)
    compiled = request.runtime == "compiled"
    net, compile_s = model.in_form(compile=compiled), None
    with exact_float32():
        if compiled:
            compile_s = latency.first_passes_s(
                net, device=device, settings=request.settings, **shape
            )
        rows = latency.passes(
            net,
            device=device,
            runtime=request.runtime,
            precision=model.precision,
            settings=request.settings,
            repeats=Repeats(request.budget_s, request.min_repeats),
            **shape,
        )
    return rows, compile_s, peak_memory_bytes(device) if device.type == "cuda" else None
