"""ONNX Runtime sessions that run int8 models on any CPU without saturation of integer sums."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures

UNSIGNED = "session.x64quantprecision"
"""Session option: use unsigned instead of signed weights, and accumulate in 32 bits."""
IN_FLOAT = "session.disable_quant_qdq"
"""Session option: compute layers between quantization nodes in float32, not in integers."""

_SILENT = 4
"""Log only fatal errors; a session that cannot be opened is retried and need not be reported."""


def open_session(content: bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open an ONNX file on the CPU; if ``threads`` is 0, ONNX Runtime chooses the number.

    On x86 processors without VNNI, ONNX Runtime's fast kernels add pairs of unsigned-by-signed
    8-bit products in 16 bits. These sums can saturate, which changes the predictions of int8
    models. On such processors, the session uses the option :data:`UNSIGNED`, or :data:`IN_FLOAT` if
    the graph does not support it. Processors with VNNI accumulate in 32 bits, and the session uses
    the faster kernels.

    Raises the same errors as :class:`onnxruntime.InferenceSession`.
    """
    if has_fast_int8():
        return _session(content, threads)
    try:
        return _session(content, threads, UNSIGNED)
    except failures.Fail:
        # ONNX Runtime 1.32 derives the names of unsigned weights and zero points from the names of
        # the signed ones. If two layers share a tensor, it creates the same name twice and rejects
        # the graph.
        return _session(content, threads, IN_FLOAT)


def has_fast_int8() -> bool | None:
    """Return whether this processor accumulates 8-bit products in 32 bits.

    This is the case if it has VNNI or Arm's dot product instructions. Return None if the operating
    system does not report this.
    """
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return None
    words = set(info.read_text().split())
    return bool(words & {"avx512_vnni", "avx_vnni", "asimddp"})


def _session(content: bytes, threads: int, option: str = "") -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _SILENT
    if option:
        options.add_session_config_entry(option, "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
