"""What receipts do in processes of their own: take times. See :mod:`oraclezoo.jobs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def time(
    tell: Callable[..., None],
    should_stop: Callable[[], bool],
    *,
    runtime: str,
    path: str,
    image_size: int,
    precision: str,
    device: str,
    settings: list[tuple[int, int]],
    budget_s: float,
    min_repeats: int,
) -> None:
    """Latency of a model folder by torch, or of an ONNX file by ONNX Runtime, without torch."""
    from oraclezoo.measure.memory import peak_bytes

    seconds = on_device = None
    if runtime == "onnxruntime":
        from oraclezoo.measure.ort import onnx

        rows = onnx(
            Path(path),
            image_size=image_size,
            precision=precision,
            settings=settings,
            budget_s=budget_s,
            min_repeats=min_repeats,
        )
    else:
        rows, seconds, on_device = _time_torch(
            path, runtime, device, settings=settings, budget_s=budget_s, min_repeats=min_repeats
        )
    tell(
        "timed",
        rows=rows,
        peak_memory_bytes=peak_bytes(),
        peak_device_memory_bytes=on_device,
        compile_s=seconds,
    )


def _time_torch(
    path: str, runtime: str, device: str, **how: Any
) -> tuple[list[dict[str, Any]], float | None, int | None]:
    """Latency rows of a model folder in its form, the seconds of compiling, a device's memory."""
    import torch

    from oraclezoo.artifacts.model import load
    from oraclezoo.engine.device import exact_float32, peak_memory_bytes, pick
    from oraclezoo.measure import latency

    place, model = pick(device), load(path)
    shape = {key: model.card["input"][key] for key in ("in_chans", "image_size")}
    model.module.to(place).to(memory_format=torch.channels_last)
    net, seconds = model.in_form(compile=runtime == "compiled"), None
    with exact_float32():
        if runtime == "compiled":
            seconds = latency.first_passes_s(net, device=place, settings=how["settings"], **shape)
        rows = latency.passes(
            net, device=place, runtime=runtime, precision=model.precision, **shape, **how
        )
    return rows, seconds, peak_memory_bytes(place) if place.type == "cuda" else None
