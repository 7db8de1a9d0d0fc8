"""What may differ between processors, and by how much: the same work by other SIMD kernels.

numpy and its BLAS pick kernels by the processor. In subprocesses they are made to pick others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
FOUND = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])

SETTINGS = {
    "numpy's baseline": {"NPY_DISABLE_CPU_FEATURES": " ".join(FOUND)},
    "BLAS for Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "BLAS for Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
}

PROBE = """
import hashlib, json, sys
import numpy as np
x = np.linspace(-3, 3, 250_000, dtype=np.float32)
square = x.reshape(500, 500)
raw = [np.exp(x), np.cos(x), square @ square]
probe = hashlib.sha256(b"".join(values.tobytes() for values in raw)).hexdigest()
"""

CORRUPT = """
from helpers import drawn
from oraclezoo.data.corrupt import CORRUPTIONS, corrupt
images = drawn.characters((8,) * 10, seed=7)[0]
worn = np.stack([corrupt(images, name, 3, 5) for name in CORRUPTIONS])
np.save(sys.argv[1], worn)
"""

AUDIT = """
import dataclasses
from helpers import drawn
from oraclezoo.data.audit import audit
from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.dataset import ArrayDataset, ArraySplit
parts = {name: ArraySplit(*drawn.characters((count,) * 10, seed=count))
         for name, count in (("train", 20), ("validation", 4), ("test", 8))}
generator = np.random.default_rng(0)
test = parts["test"].images.copy()
for at in range(8):  # scanned again: found as near duplicates
    noise = generator.normal(0, 4, (28, 28))
    test[at] = np.clip(np.roll(parts["train"].images[20 * at], 1, 0) + noise, 0, 255)
parts["test"] = ArraySplit(test, parts["test"].labels)
dataset = ArrayDataset(
    classes=CLASSES, glyphs=GLYPHS, flip_keeps_label=True, synthetic=True,
    sha256={"generated": "0" * 64},
    readers={name: (lambda part=part: part) for name, part in parts.items()},
)
found = audit(dataset, [])
rows = [[f.kind, [[p.split, p.index] for p in f.places], f.value] for f in found.findings]
open(sys.argv[1], "w").write(json.dumps(rows))
"""


def run(code: str, out: Path, setting: dict[str, str]) -> str:
    """Run code that writes to ``out``; return the results of the raw kernels."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]), **setting}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{PROBE}{code}\nprint(probe)", str(out)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module", params=list(SETTINGS))
def setting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Environment variables that change NumPy's results here; skip if they do not."""
    folder, chosen = tmp_path_factory.mktemp("probe"), SETTINGS[request.param]
    if run("", folder / "a", chosen) == run("", folder / "b", {}):
        pytest.skip(f"{request.param}: this processor's kernels are those already")
    return chosen


def test_a_setting_changes_raw_results(tmp_path: Path) -> None:
    """At least one setting changes raw results; otherwise these tests show nothing."""
    own = run("", tmp_path / "a", {})
    assert any(run("", tmp_path / "a", chosen) != own for chosen in SETTINGS.values())


def test_corruptions_differ_by_a_gray_level_at_most(
    setting: dict[str, str], tmp_path: Path
) -> None:
    """They differ in few pixels, if any."""
    own, other = tmp_path / "own.npy", tmp_path / "other.npy"
    run(CORRUPT, own, {}), run(CORRUPT, other, setting)
    difference = np.abs(np.load(own).astype(int) - np.load(other))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-4


def test_the_audit_finds_the_same(setting: dict[str, str], tmp_path: Path) -> None:
    """The findings and their order are equal, their values nearly so."""
    own, other = tmp_path / "own.json", tmp_path / "other.json"
    run(AUDIT, own, {}), run(AUDIT, other, setting)
    before, after = json.loads(own.read_text()), json.loads(other.read_text())
    assert sum(kind == "near-duplicate" for kind, _, _ in before) >= 6
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert [row[2] for row in after] == pytest.approx([row[2] for row in before], abs=1e-4)
