"""A reference that was saved on one processor serves on another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.analysis.drift import drift
from oraclezoo.analysis.features import features
from oraclezoo.analysis.reference import Reference, fingerprint
from oraclezoo.data.glyphs import generate

SAVE = """
import sys
import numpy as np
import oraclezoo as oz
from oraclezoo.analysis.features import features
from oraclezoo.analysis.reference import Reference, fingerprint
model, images = oz.load("oraclenet_n"), np.load(sys.argv[1])
Reference(features(model, images), fingerprint(model), "glyphs", "validation").save(sys.argv[2])
"""


def test_a_reference_of_other_kernels_serves(tmp_path: Path) -> None:
    """Weights are told by their bytes, features compared by their statistics: nothing drifts."""
    images, _ = generate((10,) * 10, seed=5)
    images_path, reference_path = tmp_path / "images.npy", tmp_path / "reference.safetensors"
    np.save(images_path, images)
    setting = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(images_path), str(reference_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **setting},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    model = oz.load("oraclenet_n")
    reference = Reference.load(reference_path, model)
    assert reference.model == fingerprint(model)
    own = features(model, images)
    if np.array_equal(own.vectors, reference.features.vectors):
        pytest.skip("this processor's kernels are those of the subprocess already")
    scale = np.abs(own.vectors).max()
    assert np.abs(own.vectors - reference.features.vectors).max() < 1e-4 * scale
    report = drift(model, images, reference)
    assert not report.differs
    assert report.features.p > 0.5
