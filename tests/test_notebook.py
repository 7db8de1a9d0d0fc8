"""The tutorial's notebook runs from its first cell to its last, and does what its text says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "examples" / "first-steps.ipynb"
DOCUMENT = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def test_every_cell_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one namespace, in an empty folder; the net reads better than a guess after its epochs."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, cell in enumerate(DOCUMENT["cells"]):
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), f"{NOTEBOOK.name}, cell {number}", "exec")
            exec(code, names)  # noqa: S102  # our own file
    assert names["share"] > 0.2
    assert names["table"].rows
    printed = capsys.readouterr().out
    assert names["run"].folder.name in printed
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "my-model"}


def test_no_output_is_kept() -> None:
    """What a machine printed once is no part of the file, so that no figure in it can be stale."""
    for cell in DOCUMENT["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
