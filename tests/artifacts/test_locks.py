"""Folders that a command writes are locked; a second process is refused and changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import oraclezoo as oz
from oraclezoo.artifacts.run import folder_name
from oraclezoo.artifacts.score import keep_score
from oraclezoo.benching.compressed import VariantRequest, compress_run
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.records import Callbacks
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve

HOLD = """
import sys
from pathlib import Path
from oraclezoo.storage import exclusive
with exclusive(Path(sys.argv[1])):
    (Path(sys.argv[1]) / "theirs").touch()
    print(flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """Provide a folder that another process has locked."""
    folder = tmp_path / "locked"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield folder
        process.kill()


def commands(run: Path, data: Path, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return calls that write to a folder."""
    plain: Any = {"data_dir": data, "timed": False}
    return {
        "export": lambda: oz.export(run, folder, **plain),
        "quantize": lambda: oz.quantize(run, folder, **plain),
        "quantize torch": lambda: oz.quantize(
            run, folder, backend="torch", precision="bf16", device="cpu", **plain
        ),
        "prune": lambda: oz.prune(run, folder, macs=0.5, epochs=0, **plain),
        "compress": lambda: oz.compress(run, folder, size=0.5, data_dir=data),
        "calibrate": lambda: oz.calibrate(run, folder, data_dir=data),
        "bench": lambda: oz.bench(["quick"], track="idx", data_dir=data, out=folder, seeds=1),
    }


NAMES = list(commands(Path(), Path(), Path()))


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_in_use_is_refused(
    name: str, locked: Path, tiny_run: Path, tiny_idx: Path
) -> None:
    """The folder keeps its files, and the message says what to do."""
    with pytest.raises(UsageError, match="in use by another process: wait until it ends"):
        commands(tiny_run, tiny_idx, locked)[name]()
    assert {path.name for path in locked.iterdir()} == {"theirs", ".lock"}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bench"])
def test_a_run_folder_is_no_place_for_a_model(name: str, tiny_run: Path, tiny_idx: Path) -> None:
    """It would be a run and a model at once."""
    before = {path.name for path in tiny_run.iterdir()}
    with pytest.raises(UsageError, match="holds a run: choose another folder"):
        commands(tiny_run, tiny_idx, tiny_run)[name]()
    assert {path.name for path in tiny_run.iterdir()} - {".lock"} == before - {".lock"}


def test_a_second_training_of_a_run_is_refused(tiny_idx: Path, tmp_path: Path) -> None:
    """Also with --overwrite and --resume."""
    recipe = resolve(Recipe.load("quick").override({"data.track": "idx"}), build_registry())
    folder = tmp_path / folder_name(recipe, 0)
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for options in ({}, {"overwrite": True}, {"resume": True}):
            with pytest.raises(UsageError, match="in use by another process"):
                oz.train(recipe, data_dir=tiny_idx, out=tmp_path, **options)  # type: ignore[arg-type]
        process.kill()


def test_a_second_benchmark_of_a_run_is_refused(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """Two benchmarks may share runs: neither a variant nor the scores of a run are mixed."""
    registry = build_registry()
    recipe = resolve(oz.Run.load(tiny_run).recipe.override({"compress.steps": "int8"}), registry)
    execution = Execution(data_dir=tiny_idx, device="cpu")
    request = VariantRequest(recipe, 0, tmp_path, execution)
    folder, copy = tmp_path / folder_name(recipe, 0), tmp_path / "run"
    shutil.copytree(tiny_run, copy)
    dataset = registry.create("dataset", "idx", data_dir=tiny_idx)
    before = (copy / "run.json").read_bytes()

    def scored() -> None:
        place = tmp_path / "results"
        options: Any = {"device": "cpu", "registry": registry, "calibration_s": None}
        keep_score(oz.Run.load(copy), dataset, place, **options)

    calls: dict[Path, Callable[[], object]] = {
        folder: lambda: compress_run(tiny_run, request, registry, Callbacks()),
        copy: scored,
    }
    for held, call in calls.items():
        command = [sys.executable, "-c", HOLD, str(held)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(UsageError, match="in use by another process"):
                call()
            process.kill()
    assert {path.name for path in folder.iterdir()} == {"theirs", ".lock"}
    assert (copy / "run.json").read_bytes() == before
    assert not (copy / "score.safetensors").exists()


def test_a_folder_that_cannot_be_written_is_found_before_the_work(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """A file in its place, for instance; nothing is computed."""
    (tmp_path / "file").touch()
    for name, call in commands(tiny_run, tiny_idx, tmp_path / "file" / "below").items():
        with pytest.raises(ResultError, match="cannot be written to"):
            call()
        assert name
