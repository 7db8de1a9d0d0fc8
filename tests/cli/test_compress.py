"""``oraclezoo export``, ``quantize`` and ``receipt``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.commands import oraclezoo


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder written by the command."""
    out = tmp_path_factory.mktemp("exported") / "model"
    result = oraclezoo("export", tiny_run, "--out", out, "--data-dir", tiny_idx, "--no-timed")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == str(out)
    assert "agreement" in result.stdout
    assert "exporting to onnx" in result.stderr
    return out


def test_quantize_puts_its_result_beside_the_model(exported: Path, tiny_idx: Path) -> None:
    """The folder is MODEL-int8; ``receipt`` shows its two receipts as text and as JSON."""
    result = oraclezoo("quantize", exported, "--data-dir", tiny_idx, "--no-timed", "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)["data"]
    folder = Path(data["folder"])
    assert folder == exported.with_name("model-int8")
    assert data["receipt"]["after"]["precision"] == "int8"
    shown = oraclezoo("receipt", folder)
    assert "\nexport (format onnx" in shown.stdout
    assert "quantize (precision int8" in shown.stdout
    assert "onnx int8" in shown.stdout
    document = json.loads(oraclezoo("receipt", folder, "--json").stdout)
    assert document["schema"] == "oraclezoo/receipts/1"
    assert [receipt["step"] for receipt in document["data"]["receipts"]] == ["export", "quantize"]


def test_an_int8_file_is_not_overwritten_by_float(exported: Path, tiny_idx: Path) -> None:
    """Export writes into the model's folder by default, but not over a quantized file."""
    small = exported.with_name("small")
    output = oraclezoo("quantize", exported, "--out", small, "--data-dir", tiny_idx, "--no-timed")
    assert output.exit_code == 0, output.output
    before = (small / "model.onnx").read_bytes()
    result = oraclezoo("export", small, "--data-dir", tiny_idx, "--no-timed")
    assert result.exit_code == 2
    assert "has a quantized model (int8)" in result.stderr
    assert (small / "model.onnx").read_bytes() == before


def test_a_pt2_program_lies_beside_the_model(
    exported: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """The program is verified like ONNX; the receipt has its digest."""
    result = oraclezoo(
        "export",
        exported,
        "--out",
        tmp_path / "p",
        "--format",
        "pt2",
        "--data-dir",
        tiny_idx,
        "--json",
    )
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)["data"]["receipt"]
    assert output["after"]["form"] == "pt2"
    assert (tmp_path / "p" / output["options"]["file"]).stat().st_size == output["after"][
        "size_bytes"
    ]


def test_a_parity_that_is_not_met_exits_with_3(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """With tolerance 0, the error states the difference and nothing is written."""
    out = tmp_path / "m"
    result = oraclezoo(
        "export", tiny_run, "--out", out, "--tolerance", "0", "--data-dir", tiny_idx, "--no-timed"
    )
    assert result.exit_code == 3
    assert "largest difference of a probability" in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["receipt", "nowhere"], 1, "nowhere does not exist: give a model folder or a run folder"),
        (["export", "."], 1, "has neither model.json nor run.json"),
        (["quantize", "m", "--at", "1x1"], 2, "'1x1' is not BATCH:THREADS"),
        (["quantize", "m", "--precision", "int4"], 2, "int4"),
        (["export", "m", "--opset", "7"], 1, "m does not exist"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, said: str
) -> None:
    """Invalid folders, settings and precisions."""
    monkeypatch.chdir(tmp_path)
    result = oraclezoo(*arguments)
    assert result.exit_code == status, result.output
    assert said in result.stderr


def test_a_model_without_receipts_says_so_and_torch_is_not_needed(tiny_run: Path) -> None:
    """Receipts are read from the card alone."""
    code = (
        "import sys\n"
        "from oraclezoo.cli import cli\n"
        "cli.main(['receipt', sys.argv[1]], standalone_mode=False)\n"
        "heavy = {'torch', 'timm', 'numpy', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_run)], check=True, capture_output=True, text=True
    )
    assert "has no receipts" in done.stdout
