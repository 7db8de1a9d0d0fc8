"""Data larger than memory: the same outcome as in memory, and memory that stays flat."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import oraclezoo as oz
from oraclezoo.analysis.evaluate import evaluate
from oraclezoo.artifacts import build
from oraclezoo.artifacts.run import Run
from oraclezoo.cli import cli
from oraclezoo.data.idx import write_idx
from oraclezoo.data.streamed import open_images
from oraclezoo.engine import device as devices
from oraclezoo.engine import streaming
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.engine.device import free_memory_bytes
from oraclezoo.engine.streaming import size_bytes, stream_limit
from oraclezoo.errors import DataError, UsageError

TINY: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "data.track": "idx"}
CPU = torch.device("cpu")


def train(data: Path, out: Path, above: int | str, name: str = "quick", **more: object) -> Run:
    """One training of a small recipe on the CPU."""
    recipe = oz.Recipe.load(name, {**TINY, **more})
    return oz.train(recipe, data_dir=data, out=out, device="cpu", stream_above=above)


@pytest.mark.parametrize("refit", [False, True])
def test_streamed_and_resident_runs_are_bit_equal(
    refit: bool, tiny_idx: Path, tmp_path: Path
) -> None:
    """Weights, losses and preprocessing; also where training and validation images are joined."""
    resident = train(tiny_idx, tmp_path / "held", "1GB", **{"data.refit": refit})
    left = train(tiny_idx, tmp_path / "left", 0, **{"data.refit": refit})
    assert (resident.record.streamed, left.record.streamed) == (False, True)
    for first, second in zip(resident.metrics, left.metrics, strict=True):
        assert first == replace(second, train_s=first.train_s, images_per_s=first.images_per_s)
    one, other = (load_state(run.folder / "last.safetensors")["model"] for run in (resident, left))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert resident.record.model == left.record.model
    assert resident.record.provenance.data_sha256 == left.record.provenance.data_sha256


def test_a_model_reads_streamed_images(tiny_idx: Path, tmp_path: Path) -> None:
    """Predicting and scoring, batch by batch, give what they give in memory."""
    run = train(tiny_idx, tmp_path / "runs", 0)
    path = tiny_idx / "t10k-images-idx3-ubyte.gz"
    resident, left = open_images(path, None), open_images(path, 0)
    model = run.model()
    one, other = model.predict(resident), model.predict(left)
    assert np.array_equal(one.probabilities, other.probabilities)
    scores = [
        evaluate(run, data_dir=tiny_idx, device="cpu", stream_above=above) for above in (0, "1GB")
    ]
    assert scores[0] == scores[1]


def test_large_arrays_go_to_the_device_in_batches(
    tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predicting on an array that is more than the device should get at once."""
    model = train(tiny_idx, tmp_path, "1GB").model()
    images = np.random.default_rng(0).integers(0, 256, (1300, 16, 16), np.uint8)
    whole = model.predict(images)
    monkeypatch.setattr("oraclezoo.artifacts.model.CHUNK_BYTES", 1000)
    assert np.array_equal(model.predict(images).probabilities, whole.probabilities)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """400 plain training images in a folder of their own, for tests that damage them."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        write_idx(folder / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (400, 16, 16), "u1"))
        write_idx(folder / f"{part}-labels-idx1-ubyte", (np.arange(400) % 4).astype(np.uint8))
    return folder


def test_a_file_cut_short_while_training_is_an_error(plain: Path, tmp_path: Path) -> None:
    """A DataError that names it, a run that says it failed, and no thread or hang."""

    def cut() -> bool:
        os.truncate(plain / "train-images-idx3-ubyte", 5000)
        return False

    recipe = oz.Recipe.load("quick", TINY)
    with pytest.raises(DataError, match="train-images-idx3-ubyte: the file changed"):
        oz.train(
            recipe,
            data_dir=plain,
            out=tmp_path / "runs",
            device="cpu",
            stream_above=0,
            should_stop=cut,
        )
    (folder,) = (tmp_path / "runs").iterdir()
    assert Run.load(folder).record.status == "failed"
    assert not [t for t in threading.enumerate() if t.name.startswith("oraclezoo-read-ahead")]


def test_bench_hands_the_limit_to_its_jobs(plain: Path, tmp_path: Path) -> None:
    """What is trained there is streamed too, and the test images are scored."""
    recipe = oz.Recipe.load("quick", {**TINY, "budget.epochs": 1, "backbone.name": "lenet5"})
    (result,) = oz.bench(
        [recipe],
        seeds=1,
        data_dir=plain,
        device="cpu",
        out=tmp_path / "results",
        runs=tmp_path / "runs",
        stream_above="1kB",
    )
    assert not result.failures
    (record,) = (tmp_path / "runs").glob("*/run.json")
    assert Run.load(record.parent).record.streamed


@given(parts=st.lists(st.integers(1, 9), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_mean_and_spread_are_those_of_the_gray_levels(parts: list[int], seed: int) -> None:
    """Held against numpy's, in double precision, over any number of parts."""
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, rng.integers(1, 257), (n, 5, 5), "u1") for n in parts]
    scaled = np.concatenate(arrays) / 255
    expected = (scaled.mean(), scaled.std())
    assert build._mean_and_std(arrays) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_mean_and_spread_of_one_gray_are_exact() -> None:
    """No spread is none, not a rounding error."""
    assert build._mean_and_std([np.full((7, 3, 3), 51, np.uint8)]) == (0.2, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        (1000, 1000),
        ("512MB", 512_000_000),
        ("1.5 GiB", 3 << 29),
        ("4k", 4000),
        ("2kib", 2048),
        ("1TB", 10**12),
    ],
)
def test_sizes_are_read(text: int | str, expected: int) -> None:
    """Decimal and binary units, as people write them."""
    assert size_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "much", "4 XB", "1e9", "inf", -1, True])
def test_other_sizes_are_refused(text: int | str) -> None:
    """With an example of what can be said."""
    with pytest.raises(UsageError, match="write it as 512MB"):
        size_bytes(text)


def test_the_limit_comes_from_the_call_the_environment_or_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In this order; without either it is half of what is free."""
    monkeypatch.setattr(streaming, "free_memory_bytes", lambda device: 1000)
    assert stream_limit(None, CPU) == 500
    monkeypatch.setenv("ORACLEZOO_STREAM_ABOVE", "7kB")
    assert stream_limit(None, CPU) == 7000
    assert stream_limit("3kB", CPU) == 3000
    monkeypatch.setenv("ORACLEZOO_STREAM_ABOVE", "")
    assert stream_limit(None, CPU) == 500


def test_free_memory_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limit counts, and cached files do not count against it."""
    assert free_memory_bytes(CPU) > 0
    files = {
        "/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n",
        "/sys/fs/cgroup/memory.max": "5000000\n",
        "/sys/fs/cgroup/memory.current": "4000000\n",
        "/sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 2000000\nactive_file 500000\n",
    }

    class FakePath:
        def __init__(self, path: str) -> None:
            self.path = path

        def __truediv__(self, name: str) -> FakePath:
            return FakePath(f"{self.path}/{name}")

        def read_text(self) -> str:
            if self.path not in files:
                raise FileNotFoundError(self.path)
            return files[self.path]

    monkeypatch.setattr(devices, "Path", FakePath)
    assert free_memory_bytes(CPU) == 3_500_000
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert free_memory_bytes(CPU) == 8_192_000
    files.clear()
    assert free_memory_bytes(CPU) > 0


def test_the_option_and_a_size_that_is_none(tiny_idx: Path, tmp_path: Path) -> None:
    """Wrong usage is told before anything is read."""
    arguments = ["train", "default", "--track", "idx", "--data-dir", str(tiny_idx)]
    small = ["-s", "budget.epochs=1", "-s", "budget.batch_size=16", "--device", "cpu"]
    out = ["--out", str(tmp_path)]
    wrong = CliRunner().invoke(cli, [*arguments, "--stream-above", "lots"])
    assert wrong.exit_code == 2
    assert "'lots' is not a size" in wrong.output
    done = CliRunner().invoke(cli, [*arguments, *small, *out, "--stream-above", "1kB"])
    assert done.exit_code == 0, done.output
    (folder,) = tmp_path.iterdir()
    assert Run.load(folder).record.streamed


def test_only_tracks_that_stream_are_told_the_limit(tiny_idx: Path) -> None:
    """A factory that does not declare the fact is called as it always was."""
    registry = oz.registry()
    registry.create("dataset", "glyphs-3k", data_dir=None, stream_above=0)
    left = registry.create("dataset", "idx", data_dir=tiny_idx, stream_above=0)
    assert not isinstance(left.split("train").images, np.ndarray)


PEAK = """
import sys
import oraclezoo as oz

folder, out, above, steps = sys.argv[1:]
recipe = oz.Recipe.load("authors-cnn", {
    "data.track": "idx", "backbone.name": "lenet5", "budget.epochs": 2, "budget.batch_size": 128,
})
asked = iter(range(1, 10**9))
try:
    oz.train(recipe, data_dir=folder, out=out, device="cpu", stream_above=above,
             should_stop=lambda: next(asked) >= int(steps))
except oz.OracleZooError as error:
    assert "stopped in epoch" in str(error), error
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""
"""Prints the most memory that a training had resident, files included, in kB."""

AT_ONCE = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""Has glibc give memory back when it is freed: what it keeps varies by more than is tested."""

DATA_MB, LIMIT_MB, ROOM_MB = 47, 4, 12
"""A training of so much data with so low a limit may take so much more than one of a tenth."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to ask for memory")
def test_memory_stays_flat_while_data_grows(tmp_path: Path) -> None:
    """More than an epoch of 47 MB of images at a limit of 4 MB, in a separate process."""

    def peak_mb(images: int, above: str, steps: int = 10**9) -> float:
        folder = tmp_path / str(images)
        if not folder.exists():
            folder.mkdir()
            rng = np.random.default_rng(0)
            for part, count in (("train", images), ("t10k", 100)):
                pixels = rng.integers(0, 256, (count, 28, 28), np.uint8)
                write_idx(folder / f"{part}-images-idx3-ubyte", pixels)
                labels = (np.arange(count) % 10).astype(np.uint8)
                write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
        out = tmp_path / f"runs-{images}-{above}-{steps}"
        arguments = [sys.executable, "-c", PEAK, folder, out, above, str(steps)]
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=False, env={**os.environ, **AT_ONCE}
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout) / 1000

    small = peak_mb(6_000, f"{LIMIT_MB}MB")
    large = peak_mb(60_000, f"{LIMIT_MB}MB", steps=450)  # beyond the first epoch
    assert large - small < ROOM_MB
    resident = peak_mb(60_000, "1GB", steps=10)
    assert resident - small > 0.8 * DATA_MB
