"""Baselines for drift detection, written by calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.artifacts.resolve import open_data
from oraclezoo.errors import UsageError
from oraclezoo.quantization.baseline import with_baseline
from oraclezoo.watching.drift import DriftMonitor, DriftOptions, why_not
from oraclezoo.watching.signals import Observations, histograms


@pytest.fixture
def exported(tiny_run: Path, tiny_idx: Path) -> oz.Model:
    """Return an exported model, as if the validation images had not been trained on."""
    return oz.export(with_refit(oz.Run.load(tiny_run).model(), False), **options(tiny_idx))


def options(data_dir: Path) -> dict[str, Any]:
    return {"data_dir": data_dir, "timed": False}


def with_refit(model: oz.Model, refit: bool) -> oz.Model:
    assert model.card.provenance is not None
    provenance = replace(model.card.provenance, refit=refit)
    return oz.Model(model.module, replace(model.card, provenance=provenance), model.onnx)


def test_calibrate_writes_the_baseline_of_its_onnx_file(
    exported: oz.Model, tiny_idx: Path, tmp_path: Path
) -> None:
    """It counts what the written file predicts, and goes stale when the file changes."""
    folder = tmp_path / "model"
    oz.calibrate(exported, folder, data_dir=tiny_idx, unknown=False)
    predictor = oz.predictor(folder)
    baseline = predictor.card.baseline
    assert baseline is not None
    assert why_not(predictor.card, "model") == ""
    images = np.asarray(
        open_data(exported, oz.registry(), data_dir=tiny_idx).split("validation").images
    )
    seen = Observations(images, predictor.probabilities(images))
    assert baseline.counts == histograms(seen)
    assert (baseline.images, baseline.by_a_twin) == (len(images), False)
    monitor = DriftMonitor("model", baseline, predictor.classes, DriftOptions(seed=0))
    monitor.observe(seen)
    assert not monitor.state().drifted

    small = oz.quantize(folder, tmp_path / "small", sensitivity="off", **options(tiny_idx))
    assert "another ONNX file" in why_not(small.card, "small")


def test_a_model_without_an_onnx_file_gets_none(tiny_run: Path, tiny_idx: Path) -> None:
    """What is served is the ONNX file."""
    model = with_refit(oz.Run.load(tiny_run).model(), False)
    assert oz.calibrate(model, data_dir=tiny_idx, unknown=False).card.baseline is None
    with pytest.raises(UsageError, match="export the model first"):
        with_baseline(model, open_data(model, oz.registry(), data_dir=tiny_idx))


def test_a_refit_model_takes_the_confidence_of_its_twin(exported: oz.Model, tiny_idx: Path) -> None:
    """At its own temperature; without a twin, it is refused."""
    refit = with_refit(exported, True)
    dataset = open_data(refit, oz.registry(), data_dir=tiny_idx)
    with pytest.raises(UsageError, match="pass a twin"):
        with_baseline(refit, dataset)
    twin = with_refit(exported, False).as_float()
    baseline = with_baseline(refit, dataset, twin=twin).card.baseline
    assert baseline is not None
    assert baseline.by_a_twin
    alone = with_baseline(with_refit(exported, False), dataset).card.baseline
    assert alone is not None
    assert baseline.counts["ink"] == alone.counts["ink"]
    assert sum(baseline.counts["confidence"]) == len(dataset.split("validation").images)
