"""Generated images are bit-identical for all CPU kernels of NumPy and BLAS."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import pytest

PROGRAM = """
import hashlib, json
import numpy as np
from threadpoolctl import threadpool_info
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from oraclezoo.data.glyphs import generate

def sha256(*arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()

rng = np.random.default_rng(0)
a, b = rng.random((2, 8, 300, 64))
x = rng.random(10_000) * 20 - 10
y = x.astype(np.float32)
print(json.dumps({
    "blas": [lib["architecture"] for lib in threadpool_info() if lib["user_api"] == "blas"][:1],
    "simd": [name for name in __cpu_dispatch__ if __cpu_features__.get(name)],
    "products": sha256(a.transpose(0, 2, 1) @ b),
    "functions": sha256(np.exp(x), np.sin(x), np.exp(y), np.sin(y), y**3, np.log(np.abs(y))),
    "images": sha256(*generate([30] * 10, 11)),
}))
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Digests and kernel names of a new process."""

    blas: tuple[str, ...]
    simd: tuple[str, ...]
    products: str
    functions: str
    images: str


@cache
def outcome(**switches: str) -> Outcome | None:
    """Return the outcome of a new process; None if the CPU lacks the instructions."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")
    }
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment | switches,
        capture_output=True,
        text=True,
    )
    if child.returncode == -signal.SIGILL:
        return None
    assert child.returncode == 0, child.stderr
    fields = json.loads(child.stdout)
    return Outcome(**fields | {name: tuple(fields[name]) for name in ("blas", "simd")})


@pytest.mark.parametrize(
    ("core", "kernels"),
    [
        ("Prescott", "Katmai"),
        ("Nehalem", "Nehalem"),
        ("Sandybridge", "Sandybridge"),
        ("Haswell", "Haswell"),
        ("SkylakeX", "SkylakeX"),
    ],
)
def test_matrix_kernels_do_not_change_an_image(core: str, kernels: str) -> None:
    """For every OpenBLAS kernel of this CPU that rounds a raw product differently."""
    usual, other = outcome(), outcome(OPENBLAS_CORETYPE=core)
    assert usual is not None
    if not usual.blas:
        pytest.skip("numpy's BLAS is not OpenBLAS here")
    if other is None or other.blas != (kernels,):
        pytest.skip(f"this CPU or OpenBLAS has no {kernels} kernels")
    if other.blas == usual.blas:
        pytest.skip(f"{kernels} kernels are the ones that this CPU uses anyway")
    assert other.products != usual.products, "vacuous: the switch changes no product"
    assert other.images == usual.images


def test_some_matrix_kernel_was_tried() -> None:
    """On x86-64 with OpenBLAS at least one kernel rounds differently."""
    usual, old = outcome(), outcome(OPENBLAS_CORETYPE="Nehalem")
    assert usual is not None
    if not usual.blas or platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("not x86-64 with OpenBLAS")
    assert old is not None
    assert old.blas == ("Nehalem",)
    assert old.products != usual.products


@pytest.mark.parametrize("level", range(4))
def test_function_kernels_do_not_change_an_image(level: int) -> None:
    """With CPU features of NumPy disabled one after the other."""
    usual = outcome()
    assert usual is not None
    if level >= len(usual.simd):
        pytest.skip(f"numpy has kernels for {len(usual.simd)} feature sets of this CPU")
    left_out = usual.simd[level:]
    other = outcome(NPY_DISABLE_CPU_FEATURES=" ".join(left_out))
    assert other is not None
    assert other.simd == usual.simd[:level], "vacuous: the features are still on"
    if level == 0:
        assert other.functions != usual.functions, "vacuous: the switch changes no function"
    assert other.images == usual.images
