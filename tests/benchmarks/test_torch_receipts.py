"""Receipts of a bundled model in PyTorch's forms, as gpu.sh writes them."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def page() -> Iterator[ModuleType]:
    """Return the module that generates the page's block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "docs" / "_ext"))
        yield importlib.import_module("measured_torch")


@pytest.mark.slow
def test_receipts_are_written_beside_what_could_not_be_made(
    script: Any,
    page: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An unknown precision is recorded as an error with status 1; the other has a receipt."""
    arguments = ["--device", "cpu", "--quick", "--precisions", "int3,bf16"]
    (folder := tmp_path / "gpu-2030-01-01").mkdir()
    monkeypatch.setattr(page, "MEASUREMENTS", tmp_path)
    assert page.torch_receipts().startswith("No GPU receipts")
    out = folder / "receipts.json"
    monkeypatch.setattr(sys, "argv", ["torch_receipts.py", *arguments, "--out", str(out)])
    assert script("torch_receipts").main() == 1
    document = json.loads(out.read_text())
    assert document["schema"] == "oraclezoo/torch-receipts/1"
    data = document["data"]
    assert list(data["failed"]) == ["int3"]
    (receipt,) = data["receipts"]
    assert receipt["track"] == "glyphs-3k"
    assert (receipt["synthetic"], receipt["after"]["precision"]) == (True, "bf16")
    assert [row["batch_size"] for row in receipt["after"]["latency"]] == [1]
    captured = capsys.readouterr()
    assert "torch bf16" in captured.out
    assert "int3: precision is 'int3'" in captured.err
    table = [line for line in page.torch_receipts().splitlines() if line.startswith("| `bf16`")]
    (speed,) = receipt["speedups"]
    assert len(table) == 1
    assert f"| 1 | {receipt['before']['latency'][0]['p50_ms']:.3g} | - |" in table[0]
    assert f"| {speed['speedup']:.2f} (" in table[0]
