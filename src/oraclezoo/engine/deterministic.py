"""Deterministic algorithms: repeated runs produce bit-identical weights, even on a GPU."""

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
    """Use PyTorch's and cuDNN's deterministic algorithms without TF32; restore settings on exit.

    Enter this context before the process first uses cuBLAS, because cuBLAS reads its workspace
    setting only once. The context does nothing if ``wanted`` is False.

    Raises:
        UsageError: An operation has no deterministic implementation; the message names the
            operation.
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
