"""Temperature calibration in PyTorch and ONNX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.artifacts.resolve import open_data
from oraclezoo.card import Calibration
from oraclezoo.errors import UsageError
from oraclezoo.measure.temperature import mean_loss, tempered
from oraclezoo.quantization.temperature import calibrate


def test_a_temperature_goes_into_card_torch_and_graph(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """Both runtimes apply the temperature to the probabilities."""
    plain = oz.Run.load(tiny_run).model()
    dataset = open_data(plain, oz.registry(), data_dir=tiny_idx)
    part = dataset.split("validation")
    before = plain.predict(part.images).probabilities
    model = calibrate(plain, dataset)
    entry = model.card.calibration
    assert entry is not None
    actual = model.predict(part.images).probabilities
    assert np.allclose(actual, tempered(before, entry.temperature), atol=1e-5)
    assert entry.after["loss"] == pytest.approx(mean_loss(actual, part.labels), abs=1e-4)
    assert entry.after["loss"] <= entry.before["loss"]
    assert plain.card.calibration is None

    exported = oz.export(model, tmp_path / "out", data_dir=tiny_idx, timed=False)
    light = oz.predictor(tmp_path / "out")
    assert light.card.calibration == entry
    assert np.allclose(light.predict(part.images).probabilities, actual, atol=1e-4)
    for again in (model, exported):
        with pytest.raises(UsageError, match="calibrate the original"):
            calibrate(again, dataset)


def test_a_twin_gives_the_temperature(tiny_run: Path, tiny_idx: Path) -> None:
    """The temperature is fitted on the twin's predictions, and the card records that."""
    model = oz.Run.load(tiny_run).model()
    plain = oz.Run.load(tiny_run).model()
    twin = oz.Model(plain.module, replace(plain.card, calibration=Calibration(3.0)))  # less sure
    dataset = open_data(model, oz.registry(), data_dir=tiny_idx)
    alone, paired = calibrate(model, dataset), calibrate(model, dataset, twin=twin)
    assert (alone.card.calibration.by_a_twin, paired.card.calibration.by_a_twin) == (
        False,
        True,
    )
    first, second = (m.card.calibration.temperature for m in (alone, paired))
    assert second == pytest.approx(max(first / 3, 0.05), rel=0.01)
