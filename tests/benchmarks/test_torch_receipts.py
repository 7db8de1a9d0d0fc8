"""Receipts of a shipped model in torch's forms, as gpu.sh has them made."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_receipts_are_written_beside_what_could_not_be_made(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A precision that there is none of is told and is status 1; the other's receipt is there."""
    asked = ["--device", "cpu", "--quick", "--precisions", "int3,bf16"]
    out = tmp_path / "receipts.json"
    monkeypatch.setattr(sys, "argv", ["torch_receipts.py", *asked, "--out", str(out)])
    assert script("torch_receipts").main() == 1
    document = json.loads(out.read_text())
    assert document["schema"] == "oraclezoo/torch-receipts/1"
    data = document["data"]
    assert list(data["failed"]) == ["int3"]
    (made,) = data["receipts"]
    assert made["track"] == "glyphs-3k"
    assert (made["synthetic"], made["after"]["precision"]) == (True, "bf16")
    assert [row["batch_size"] for row in made["after"]["latency"]] == [1]
    told = capsys.readouterr()
    assert "torch bf16" in told.out
    assert "int3: precision is 'int3'" in told.err
