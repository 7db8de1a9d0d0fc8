"""Temperature calibration in PyTorch and ONNX."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import oraclezoo as oz
from oraclezoo.artifacts.resolve import open_data
from oraclezoo.card import Calibration
from oraclezoo.cli import cli
from oraclezoo.errors import UsageError
from oraclezoo.measure.temperature import fit_temperature, mean_loss, tempered
from oraclezoo.quantization.temperature import FOLDS, calibrated, fitted


@pytest.fixture
def plain(tiny_run: Path) -> oz.Model:
    """Return the model of a small run, as if the validation images had not been trained on."""
    return with_refit(oz.Run.load(tiny_run).model(), False)


def with_refit(model: oz.Model, refit: bool) -> oz.Model:
    """Return a model whose card says whether the validation images were trained on."""
    assert model.card.provenance is not None
    provenance = replace(model.card.provenance, refit=refit)
    return oz.Model(model.module, replace(model.card, provenance=provenance))


def test_a_temperature_goes_into_card_torch_and_graph(
    plain: oz.Model, tiny_idx: Path, tmp_path: Path
) -> None:
    """Both runtimes apply the temperature to the probabilities."""
    part = open_data(plain, oz.registry(), data_dir=tiny_idx).split("validation")
    before = plain.predict(part.images).probabilities
    model = oz.calibrate(plain, data_dir=tiny_idx, unknown=False)
    entry = model.card.calibration
    assert entry is not None
    actual = model.predict(part.images).probabilities
    assert np.allclose(actual, tempered(before, entry.temperature), atol=1e-5)
    assert mean_loss(actual, part.labels) <= entry.before["loss"]
    assert plain.card.calibration is None

    oz.export(model, tmp_path / "out", data_dir=tiny_idx, timed=False)
    light = oz.predictor(tmp_path / "out")
    assert light.card.calibration == entry
    assert np.allclose(light.predict(part.images).probabilities, actual, atol=1e-4)


@pytest.mark.parametrize("preprocess", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_exported_model_is_calibrated_in_its_graph(
    precision: str, preprocess: bool, plain: oz.Model, tiny_idx: Path, tmp_path: Path
) -> None:
    """Also a second time: the temperatures multiply, and the labels stay."""
    options: Any = {"data_dir": tiny_idx, "timed": False}
    model = oz.export(plain, preprocess=preprocess, **options)
    if precision != "fp32":
        model = oz.quantize(model, precision=precision, sensitivity="off", **options)
    part = open_data(plain, oz.registry(), data_dir=tiny_idx).split("validation")
    before = model.predict(part.images).probabilities
    once = oz.calibrate(model, tmp_path / "out", data_dir=tiny_idx, unknown=False)
    assert once.card.calibration is not None
    light = oz.predictor(tmp_path / "out").predict(part.images)
    tolerance = 2e-2 if precision == "fp16" else 1e-3
    expected = tempered(before, once.card.calibration.temperature)
    assert np.allclose(light.probabilities, expected, atol=tolerance)
    twice = oz.calibrate(tmp_path / "out", tmp_path / "out", data_dir=tiny_idx, unknown=False)
    assert twice.card.calibration is not None
    light = oz.predictor(tmp_path / "out").predict(part.images)
    expected = tempered(before, twice.card.calibration.temperature)
    assert np.allclose(light.probabilities, expected, atol=tolerance)
    assert twice.precision == precision


def test_the_error_is_measured_on_images_that_the_temperature_was_not_fitted_on() -> None:
    """In-sample loss is never above that of one; out of sample it may be."""
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    probabilities = generator.dirichlet(np.ones(3), 60)
    entry = fitted(probabilities, labels)
    inside = mean_loss(tempered(probabilities, fit_temperature(probabilities, labels)), labels)
    assert inside < entry.after["loss"]
    assert (entry.images, entry.folds) == (60, FOLDS)
    with pytest.raises(UsageError, match="9 validation images; calibration requires at least 10"):
        fitted(probabilities[:9], labels[:9])


def test_a_model_that_learned_the_validation_images_is_refused(
    plain: oz.Model, tiny_idx: Path
) -> None:
    """It is too sure of them; its twin, trained without them, gives the temperature."""
    refit = with_refit(plain, True)
    with pytest.raises(UsageError, match="was trained on the validation images"):
        oz.calibrate(refit, data_dir=tiny_idx)
    unsure = oz.Model(plain.module, replace(plain.card, calibration=Calibration(3.0)))
    dataset = open_data(refit, oz.registry(), data_dir=tiny_idx)
    alone = oz.calibrate(plain, data_dir=tiny_idx, unknown=False).card.calibration
    paired = calibrated(refit, dataset, unsure, unknown=False).card.calibration
    assert alone is not None
    assert paired is not None
    assert (alone.by_a_twin, paired.by_a_twin) == (False, True)
    assert paired.temperature == pytest.approx(max(alone.temperature / 3, 0.05), rel=0.01)
    with pytest.raises(UsageError, match="calibrate the original"):
        calibrated(unsure, dataset, plain)


def test_the_command_prints_the_effect_and_export_names_it(
    plain: oz.Model, tiny_idx: Path, tmp_path: Path
) -> None:
    """A calibrated model is exported without the hint."""
    out, runner = str(tmp_path / "model"), CliRunner()
    plain.save(tmp_path / "plain")
    data = ["--data-dir", str(tiny_idx)]
    bare = runner.invoke(
        cli, ["export", str(tmp_path / "plain"), "--out", out, "--no-timed", *data]
    )
    assert bare.exit_code == 0, bare.output
    assert f"are not calibrated: 'oraclezoo calibrate {out}'" in bare.stderr
    done = runner.invoke(cli, ["calibrate", out, "--no-unknown", *data])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{out}\ntemperature ")
    assert "expected calibration error 0." in done.stdout
    again = runner.invoke(cli, ["calibrate", out, "--no-unknown", "--json", *data])
    assert json.loads(again.stdout)["data"]["images"] > 0
    exported = runner.invoke(cli, ["export", out, "--no-timed", *data])
    assert exported.exit_code == 0, exported.output
    assert "not calibrated" not in exported.stderr
