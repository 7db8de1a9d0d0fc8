"""Notebooks as Markdown. Lightweight imports only: a notebook is JSON."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "examples"


def first_steps() -> str:
    """Return the tutorial as Markdown with Python blocks. The notebook has no stored outputs."""
    notebook = json.loads((FOLDER / "first-steps.ipynb").read_text(encoding="utf-8"))
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
    return "\n\n".join(parts) + "\n"
