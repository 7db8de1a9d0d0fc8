"""The study of fine-tuning: its figures, and the page that shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXT = Path(__file__).resolve().parents[2] / "docs" / "_ext"


def test_folds_are_scored_together(script: Callable[[str], ModuleType]) -> None:
    """Each image once, whatever fold it was in."""
    parts = [np.array([[0.9, 0.1]], np.float32), np.array([[0.6, 0.4], [0.2, 0.8]], np.float32)]
    found = script("finetuning").scored(parts, np.array([0, 1, 1]))
    assert found["accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8]).mean(), abs=1e-4)


def test_the_page_has_a_row_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the default learning rates are among them."""
    from oraclezoo.training.finetune import LR_SCALE

    monkeypatch.syspath_prepend(str(EXT))
    page = pytest.importorskip("measured_finetuning")
    data = page.read("finetuning.json")
    rows = [line for line in page.finetuning().splitlines() if line.startswith("| ")]
    settings = {(row["lr_scale"], row["distill"]) for row in data["rows"]}
    assert len(rows) == len(settings) + 2
    assert LR_SCALE in {scale for scale, _ in settings}
