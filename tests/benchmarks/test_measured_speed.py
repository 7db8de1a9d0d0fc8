"""The page on speed agrees with the committed files."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    """Return the module that generates the page's blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs" / "_ext"))
        yield importlib.import_module("measured_speed")


def measured(name: str) -> dict[str, Any]:
    """Return the data of a committed file."""
    path = ROOT / "benchmarks" / "measurements" / name
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["data"]
    return data


def test_committed_ratios_are_quotients_of_their_rows(page: ModuleType) -> None:
    """Ratios cannot drift from the rows that they are computed from."""
    from_rows = {
        (row["model"], row["contender"]): row["images_per_s"]["median"]
        for row in measured("throughput.json")["rows"]
    }
    data = measured("throughput.json")
    for name, (over, under) in {
        "ratio_lightning_same_batch": ("engine", "lightning"),
        "ratio_lightning_best": ("engine best", "lightning"),
        "ratio_plain_house_net": ("engine", "dataloader"),
        "ratio_lightning_house_net": ("engine best", "lightning"),
    }.items():
        model = page.MODELS[name]
        assert data[name] == pytest.approx(
            from_rows[model, over] / from_rows[model, under], abs=1e-3
        )
        assert f"**{data[name]:.2f}**" in page.speed_ratios()


def test_each_row_is_shown_with_its_median(page: ModuleType) -> None:
    """Every contender, number of images and width has a row."""
    rows = measured("throughput.json")["rows"]
    scaling = measured("scaling.json")
    for text, expected in (
        (page.speed_contenders(), rows),
        (page.speed_images(), scaling["images"]),
        (page.speed_widths(), scaling["widths"]),
    ):
        lines = [line for line in text.splitlines() if line.startswith("|")][2:]
        assert len(lines) == len(expected)
        for line, row in zip(lines, expected, strict=True):
            assert f"{row['images_per_s']['median']:,.0f} (" in line


def test_what_was_not_measured_is_said(
    page: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without GPU files, the page says so; missing times are dashes."""
    monkeypatch.setattr(page, "MEASUREMENTS", tmp_path)
    monkeypatch.setattr("measured.MEASUREMENTS", tmp_path)
    assert "No GPU" in page.speed_gpu()
    folder = tmp_path / "gpu-2030-01-01"
    folder.mkdir()
    document = {"data": measured("throughput.json")}
    (folder / "throughput-oraclenet.json").write_text(json.dumps(document), encoding="utf-8")
    assert "oraclezoo, best setting" in page.speed_gpu()
    row = {
        "recipe": "tiny",
        "division": "closed",
        "seeds": 5,
        "test_accuracy_mean": 0.9214,
        "test_accuracy_ci95": [0.9, 0.94],
        "train_s_median": 12.34,
        "hardware_class": "some-2c",
    }
    failed = row | {"recipe": "poor", "test_accuracy_mean": None, "train_s_median": None}
    data = {"track": "idx", "synthetic": False, "test_images": 1000, "rows": [row, failed]}
    (tmp_path / "time-to-accuracy.json").write_text(json.dumps({"data": data}), encoding="utf-8")
    text = page.speed_accuracy()
    assert "| `tiny` | closed | 92.1% [90.0%, 94.0%] | 12.3 | 5 |" in text
    assert "| `poor` | closed | – | – | 5 |" in text
    assert "some-2c" in text
