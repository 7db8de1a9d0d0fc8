"""Deterministic algorithms: bit-identical weights in repeated runs, also on a GPU."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from oraclezoo.errors import UsageError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_NAMED = re.compile(r"(\S+?)(?:\(\))? does not have a deterministic implementation")


@contextmanager
def deterministic(wanted: bool = True) -> Iterator[None]:
    """Use deterministic algorithms of PyTorch and cuDNN, without TF32, and restore all settings.

    Enter this context before the process first uses cuBLAS, which then reads its workspace setting.
    Does nothing unless ``wanted``.

    Raises:
        UsageError: An operation has no deterministic implementation; the message names it.
    """
    if not wanted:
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    algorithms = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    flags = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    workspace = os.environ.get(WORKSPACE)
    os.environ.setdefault(WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = True, False, False
    matmul.allow_tf32 = False
    try:
        yield
    except RuntimeError as error:
        match = _NAMED.search(str(error))
        if match is None:
            raise
        raise UsageError(
            f"--deterministic: {match[1]} has no deterministic implementation on this device; "
            "train without the flag, or with another component"
        ) from error
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warns)
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = flags
        if workspace is None:
            del os.environ[WORKSPACE]
