"""Notebooks as Markdown, with the outputs of a run at build time. Lightweight imports only."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from oraclezoo import __version__

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "examples" / "first-steps.ipynb"
OUTPUTS = ROOT / "docs" / "_generated" / "first-steps.json"
RUNNER = """
import contextlib, io, json, sys

names, printed = {}, []
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        exec(code, names)
    printed.append(stream.getvalue())
json.dump(printed, sys.__stdout__)
"""
"""Program that runs code cells in one namespace and prints their outputs as JSON."""


def first_steps() -> str:
    """Return the tutorial as Markdown, with the outputs that :func:`run` recorded, if any."""
    cells, outputs = _cells(), _recorded()
    parts = []
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] != "code":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        printed = outputs.pop(0) if outputs else ""
        if printed.strip():
            parts.append(f"```{{code-block}} text\n:class: output\n\n{printed.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def run() -> None:
    """Run the notebook in an empty folder and record its outputs, unless they are current.

    Raises:
        subprocess.CalledProcessError: If a cell fails.
    """
    if _recorded():
        return
    code = [_code(cell) for cell in _cells() if cell["cell_type"] == "code"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", RUNNER],
            input=json.dumps(code),
            cwd=folder,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    OUTPUTS.parent.mkdir(exist_ok=True)
    document = {"digest": _digest(), "outputs": json.loads(done.stdout)}
    OUTPUTS.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _recorded() -> list[str]:
    """Return the recorded outputs of the code cells, or an empty list if there are none."""
    if not OUTPUTS.is_file():
        return []
    document = json.loads(OUTPUTS.read_text(encoding="utf-8"))
    return list(document["outputs"]) if document["digest"] == _digest() else []


def _digest() -> str:
    """Return the digest of the notebook and the version of oraclezoo."""
    return hashlib.sha256(NOTEBOOK.read_bytes() + __version__.encode()).hexdigest()


def _cells() -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return cells


def _code(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])
