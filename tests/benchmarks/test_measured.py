"""Helpers of the benchmarks: ratios, documents, options, noise data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.data.image_files import read_images, read_labels

Script = Callable[[str], ModuleType]


def test_a_quotient_is_that_of_medians(script: Script) -> None:
    """Its range is over ratios within the same round."""
    measured = script("_measured")
    over, under = measured.spread([10, 40, 20]), measured.spread([5, 10, 2])
    assert over == {"median": 20, "min": 10, "max": 40, "turns": [10, 40, 20]}
    assert measured.quotient(over, under) == {"value": 4.0, "min": 2.0, "max": 10.0}


def test_rows_of_other_rounds_make_no_quotient(script: Script) -> None:
    """Rows with different numbers of rounds are not compared."""
    measured = script("_measured")
    with pytest.raises(ValueError, match="zip"):
        measured.quotient(measured.spread([1, 2]), measured.spread([1, 2, 3]))


RATES = st.lists(st.floats(1, 1e6), min_size=1, max_size=9)


@given(RATES)
def test_a_median_lies_within_its_range(script: Script, rates: list[float]) -> None:
    """Rounding keeps the order, and a row divided by itself is one."""
    measured = script("_measured")
    row = measured.spread(rates)
    assert row["min"] <= row["median"] <= row["max"]
    assert measured.quotient(row, row) == {"value": 1.0, "min": 1.0, "max": 1.0}


def test_a_document_is_printed_and_written_alike(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--json`` and ``--out`` give the same document, schema first."""
    measured = script("_measured")
    out = tmp_path / "new" / "file.json"
    arguments = measured.options("Some benchmark.").parse_args(["--json", "--out", str(out)])
    assert measured.emit("some/1", {"a": 1}, arguments)
    printed = capsys.readouterr().out
    assert printed == out.read_text(encoding="utf-8")
    assert json.loads(printed) == {"schema": "some/1", "data": {"a": 1}}
    assert not measured.emit("some/1", {}, measured.options("x").parse_args([]))


def test_options_refuse_what_means_nothing(script: Script) -> None:
    """Zero turns and empty name lists are rejected before measuring."""
    measured = script("_measured")
    assert measured.names("a, b,") == ["a", "b"]
    with pytest.raises(argparse.ArgumentTypeError, match="at least 1"):
        measured.positive("0")
    with pytest.raises(argparse.ArgumentTypeError, match="expected comma-separated names"):
        measured.names(" ,")


@pytest.mark.parametrize("images", [900, 1_000])
def test_noise_leaves_so_many_to_train_on(script: Script, tmp_path: Path, images: int) -> None:
    """The files have a tenth more images, which the track uses for validation."""
    import oraclezoo as oz

    folder = script("_measured").noise(tmp_path / "data", images)
    actual = read_images(folder / "train-images-idx3-ubyte")
    assert len(actual) == len(read_labels(folder / "train-labels-idx1-ubyte", 10))
    assert actual.std() > 60  # of noise; nothing of the kind if a chunk were left out
    dataset = oz.registry().create("dataset", "idx", data_dir=folder, progress=None)
    assert abs(len(dataset.split("train").images) - images) <= 10
