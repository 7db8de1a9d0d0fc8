"""``oraclezoo quantize --backend torch``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from helpers.commands import oraclezoo
from oraclezoo.choices import BACKENDS
from oraclezoo.cli import quantize as module


@pytest.fixture(scope="module")
def half(tiny_run: Path, tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny run's model in bf16, written by the command."""
    folder = tmp_path_factory.mktemp("half") / "m"
    arguments = ["--backend", "torch", "--device", "cpu", "--precision", "bf16", "--no-timed"]
    result = oraclezoo("quantize", tiny_run, "--out", folder, *arguments, "--data-dir", tiny_idx)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == str(folder)
    assert "torch fp32" in result.stdout
    assert "torch bf16" in result.stdout
    assert "bf16 on cpu" in result.stderr
    return folder


def test_a_form_is_shown_by_what_reads_cards(half: Path) -> None:
    """``receipt`` and ``models show`` display it; ``predict`` explains why it cannot run it."""
    shown = oraclezoo("receipt", half)
    assert "\nquantize (backend torch, device cpu, precision bf16" in shown.stdout
    assert "form: bf16 in torch, compile auto" in oraclezoo("models", "show", half).stdout
    refused = oraclezoo("predict", "x.png", "--model", half)
    assert refused.exit_code == 1
    assert "bf16 for PyTorch" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_it_goes_beside_the_model_under_a_name_of_its_own(half: Path, tiny_idx: Path) -> None:
    """The default folder differs from that of ONNX Runtime."""
    arguments = ["--backend", "torch", "--precision", "fp16", "--data-dir", tiny_idx, "--no-timed"]
    done = oraclezoo("quantize", half, *arguments, "--json", ORACLEZOO_DEVICE="cpu")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)["data"]
    assert Path(data["folder"]) == half.with_name("m-fp16-torch")
    assert data["receipt"]["options"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["--compile", "on"], "--compile applies to --backend torch, not to onnxruntime"),
        (["--device", "cpu"], "--device applies to --backend torch"),
        (
            ["--backend", "torch", "--reduce-range"],
            "--reduce-range applies to --backend onnxruntime",
        ),
        (["--backend", "torch", "--calibration", "minmax"], "--calibration applies to"),
        (["--precision", "bf16"], "bf16 requires backend torch"),
    ],
)
def test_an_option_of_the_other_backend_is_a_wrong_use(
    half: Path, tiny_idx: Path, typed: list[str], says: str
) -> None:
    """The exit status is 2, even for the default value."""
    done = oraclezoo("quantize", half, *typed, "--data-dir", tiny_idx)
    assert done.exit_code == 2
    assert says in done.stderr


def test_the_environments_device_is_not_typed(half: Path, tiny_idx: Path, tmp_path: Path) -> None:
    """ORACLEZOO_DEVICE does not count as an explicit option."""
    arguments = ["--precision", "fp16", "--no-timed", "--data-dir", tiny_idx]
    done = oraclezoo("quantize", half, "--out", tmp_path / "m", *arguments, ORACLEZOO_DEVICE="cuda")
    assert done.exit_code == 0, done.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_one_line(half: Path, tiny_idx: Path) -> None:
    """The error states the number of CUDA devices."""
    arguments = ["--backend", "torch", "--device", "cuda", "--precision", "bf16"]
    done = oraclezoo("quantize", half, *arguments, "--data-dir", tiny_idx)
    assert done.exit_code == 2
    assert "device 'cuda' is not available (0 CUDA devices)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_each_backend_lists_options_of_the_command() -> None:
    """Otherwise a renamed option would reach the wrong backend."""
    options = {option.name for option in module.command.params}
    assert set(module.OPTIONS) == set(BACKENDS)
    assert {name for names in module.OPTIONS.values() for name in names} <= options
