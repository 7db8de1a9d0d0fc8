"""Measure the latency of an ONNX file in ONNX Runtime, without importing torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.measure.repeats import Repeats, clock_ms, repeat
from oraclezoo.onnx_export.runtime import open_session

WARMUP = 10


def onnx(
    path: Path,
    *,
    image_size: int,
    precision: str,
    settings: Sequence[tuple[int, int]],
    budget_s: float = 1.0,
    min_repeats: int = 30,
) -> list[LatencyRow]:
    """Time an ONNX file on the CPU with random images.

    Args:
        path: The file; its input must be uint8 ``(N, H, W)`` or float32 ``(N, 1, H, W)``.
        image_size: Width and height of the images in pixels.
        precision: Precision of the file, which is copied to the latency rows.
        settings: Pairs of batch size and number of threads.
        budget_s: Approximate time per setting, in seconds.
        min_repeats: Minimum number of timed runs per setting.

    Returns:
        One latency row for each setting.
    """
    rows = []
    for batch_size, threads in settings:
        session = open_session(path.read_bytes(), threads)
        (tensor,) = session.get_inputs()
        feed = {tensor.name: _images(tensor.type, batch_size, image_size)}
        for _ in range(WARMUP):
            session.run(None, feed)
        times = repeat(
            lambda session=session, feed=feed: clock_ms(lambda: session.run(None, feed)),  # type: ignore[misc]  # bound early
            Repeats(budget_s, min_repeats),
        )
        row = LatencyRow(
            runtime="onnxruntime",
            precision=precision,
            device="cpu",
            threads=threads,
            batch_size=batch_size,
            **asdict(times),
        )
        rows.append(row)
    return rows


def _images(kind: str, batch_size: int, image_size: int) -> npt.NDArray[Any]:
    generator = np.random.default_rng(0)
    if kind == "tensor(uint8)":
        return generator.integers(0, 256, (batch_size, image_size, image_size), dtype=np.uint8)
    shape = (batch_size, 1, image_size, image_size)
    return generator.standard_normal(shape, dtype=np.float32)
