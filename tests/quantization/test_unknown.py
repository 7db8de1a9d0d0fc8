"""Fitting of the detector of unknown characters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

import oraclezoo as oz
from oraclezoo.artifacts.resolve import open_data
from oraclezoo.cli import cli
from oraclezoo.errors import ResultError
from oraclezoo.quantization import unknown


@pytest.fixture(scope="module")
def detecting(tiny_idx: Path, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a calibrated model with a detector, fitted by the command."""
    folder = tmp_path_factory.mktemp("models") / "detecting"
    model = oz.Run.load(tiny_run).model()
    assert model.card.provenance is not None
    provenance = replace(model.card.provenance, refit=False)
    oz.Model(model.module, replace(model.card, provenance=provenance)).save(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unknown, "COUNT", 40)  # enough for these images, and fast
        done = CliRunner().invoke(cli, ["calibrate", str(folder), "--data-dir", str(tiny_idx)])
    assert done.exit_code == 0, done.output
    assert "unknown from 0." in done.stdout
    assert "% of real" in done.stdout
    return folder


@pytest.fixture(scope="module")
def validation(tiny_idx: Path, detecting: Path) -> npt.NDArray[np.uint8]:
    """Return the validation images."""
    dataset = open_data(oz.load(detecting), oz.registry(), data_dir=tiny_idx)
    return np.asarray(dataset.split("validation").images)


def test_it_keeps_known_images_and_rejects_foreign_ones(
    detecting: Path, validation: npt.NDArray[np.uint8]
) -> None:
    """The threshold keeps 95% of the validation images."""
    model = oz.load(detecting)
    entry = model.card.unknown
    assert entry is not None
    assert entry.kept["real"] >= unknown.KEPT
    assert entry.fitted_on["foreign"] > entry.fitted_on["known"] > 0
    done = model.predict(validation)
    assert done.unknown is not None
    assert done.unknown_score is not None
    assert (~done.unknown).mean() == pytest.approx(entry.kept["real"])
    noise = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    foreign = model.predict(noise).unknown
    assert foreign is not None
    assert foreign.mean() > 0.9
    labels, probabilities = done
    assert np.array_equal(labels, probabilities.argmax(1))


def test_later_steps_keep_it(
    detecting: Path,
    validation: npt.NDArray[np.uint8],
    tiny_idx: Path,
    tmp_path: Path,
) -> None:
    """Export, quantization and a new temperature give the same scores, with and without torch."""
    expected = oz.load(detecting).predict(validation).unknown_score
    data = {"data_dir": tiny_idx}
    model = oz.export(detecting, preprocess=False, timed=False, **data)
    small = oz.quantize(model, calibration="minmax", sensitivity="off", timed=False, **data)
    again = oz.calibrate(small, tmp_path / "small", unknown=False, **data)
    light = oz.predictor(tmp_path / "small").predict(validation)
    for actual in (model.predict(validation), again.predict(validation), light):
        assert actual.unknown_score == pytest.approx(expected, abs=1e-4)
    assert light.unknown is not None
    assert again.card.unknown == model.card.unknown


def test_pruning_keeps_it(
    detecting: Path, validation: npt.NDArray[np.uint8], tiny_idx: Path
) -> None:
    """It does not use the pruned weights; the temperature has to be fitted again."""
    model = oz.load(detecting)
    small = oz.prune(model, params=0.5, epochs=0, data_dir=tiny_idx, timed=False)
    assert small.card.calibration is None
    assert small.card.unknown == model.card.unknown
    expected, actual = (each.predict(validation).unknown_score for each in (model, small))
    assert actual == pytest.approx(expected)


def test_damaged_weights_are_refused(detecting: Path, tmp_path: Path) -> None:
    """Their digest is in the card."""
    oz.load(detecting).save(tmp_path / "model")
    path = tmp_path / "model" / "unknown.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ResultError, match=r"SHA-256 of unknown\.safetensors"):
        oz.load(tmp_path / "model")
    path.unlink()
    with pytest.raises(ResultError, match=r"unknown\.safetensors is missing"):
        oz.load(tmp_path / "model")


def test_a_model_without_one_says_nothing(
    detecting: Path, validation: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    """Its folder has no file of a detector, also if it had one before."""
    model = oz.load(detecting)
    model.save(tmp_path / "model")
    plain = oz.Model(model.module, model.card)
    plain.save(tmp_path / "model")
    assert not (tmp_path / "model" / "unknown.safetensors").exists()
    done = oz.load(tmp_path / "model").predict(validation[:2])
    assert (done.unknown, done.unknown_score) == (None, None)
