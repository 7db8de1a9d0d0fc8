"""ONNX Runtime sessions on the CPU that compute int8 models exactly on every processor."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures

UNSIGNED = "session.x64quantprecision"
"""Session option: multiply unsigned weights in place of signed ones, adding up in 32 bits."""
IN_FLOAT = "session.disable_quant_qdq"
"""Session option: compute a layer between roundings in float32, in place of integers."""

_SILENT = 4
"""Log fatal errors only: an attempt that fails and is followed by another is nothing to report."""


def open_session(content: bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open an ONNX file for the CPU; ``threads`` 0 leaves their number to the runtime.

    On x86 without VNNI, ONNX Runtime's fast kernels add pairs of unsigned-by-signed 8-bit products
    in 16 bits. These sums saturate, and predictions of int8 models change. There, the session has
    the option :data:`UNSIGNED`, or :data:`IN_FLOAT` if the graph does not allow that. Processors
    with VNNI add in 32 bits, and keep their faster kernels.

    Raises what :class:`onnxruntime.InferenceSession` raises.
    """
    if has_fast_int8():
        return _session(content, threads)
    try:
        return _session(content, threads, UNSIGNED)
    except failures.Fail:
        # ONNX Runtime 1.32 names unsigned weights and zero points after the signed ones. If two
        # layers share one, it makes the same name twice, and refuses the graph.
        return _session(content, threads, IN_FLOAT)


def has_fast_int8() -> bool | None:
    """Whether this processor adds 8-bit products in 32 bits (VNNI, or Arm's dot product).

    None if the operating system does not say.
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
