"""The model in the page: ONNX Runtime for the web gives what ONNX Runtime gives in Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from helpers.bands import SIZE, drawn, write_model
from helpers.page_models import add_unknown
from oraclezoo.data.glyphs import generate
from oraclezoo.serving.names import locate
from oraclezoo.serving.predictor import Predictor

SCRIPT = Path(__file__).with_name("runner.mjs")
CLOSE = 0.02
"""Labels of int8 models may differ where the two best probabilities are this close."""


@pytest.fixture
def run(node: str, dist: Path, tmp_path: Path) -> Any:
    """Return a function that classifies images by the page's code."""

    def classify(model: Path, images: npt.NDArray[np.uint8]) -> Any:
        file = tmp_path / "images.bin"
        file.write_bytes(images.tobytes())
        done = subprocess.run(
            [node, str(SCRIPT), str(dist), str(model), str(file)],
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        )
        return json.loads(done.stdout.splitlines()[-1])

    return classify


def test_float_probabilities_agree(run: Any, tmp_path: Path) -> None:
    """To a thousandth; the page learns the classes from the card."""
    model = write_model(tmp_path / "model")
    images = np.stack([drawn(label) for label in range(4)])
    outcome = run(model, images)
    assert outcome["summary"]["size"] == SIZE
    assert [each["glyph"] for each in outcome["summary"]["classes"]] == ["一", "二", "三", "四"]
    expected = Predictor(model).probabilities(images)
    assert np.abs(np.array(outcome["probabilities"]) - expected).max() < 1e-3
    assert outcome["unknown"] is None


def test_the_detector_of_unknown_characters_is_read(run: Any, tmp_path: Path) -> None:
    """Its score for each image, and the threshold of the card."""
    model = add_unknown(write_model(tmp_path / "bands"), tmp_path / "unknown", 0.25)
    outcome = run(model, np.stack([drawn(label) for label in range(4)]))
    best = np.array(outcome["probabilities"]).max(1)
    assert outcome["unknown"] == pytest.approx(1 - best, abs=1e-6)
    assert outcome["summary"]["threshold"] == 0.25


def assert_labels_agree(outcome: Any, expected: npt.NDArray[np.float32]) -> None:
    best = np.sort(expected, axis=1)
    decided = best[:, -1] - best[:, -2] > CLOSE
    labels = np.array(outcome["probabilities"]).argmax(1)
    assert decided.mean() > 0.5
    assert (labels == expected.argmax(1))[decided].all()


def test_labels_of_a_bundled_model_agree(run: Any) -> None:
    """It is int8; near ties may go either way."""
    folder = locate("oraclenet_n")
    images, _ = generate([3] * 10, seed=2)
    assert_labels_agree(run(folder, images), Predictor(folder).probabilities(images))


@pytest.mark.full
@pytest.mark.parametrize("name", ["oraclenet_n", "oraclenet_s", "oraclenet_b"])
def test_labels_of_all_bundled_models_agree(run: Any, name: str) -> None:
    """On 300 generated characters."""
    folder = locate(name)
    images, _ = generate([30] * 10, seed=3)
    assert_labels_agree(run(folder, images), Predictor(folder).probabilities(images))


@pytest.mark.full
@pytest.mark.parametrize("preprocess", [True, False])
def test_float_probabilities_of_a_net_agree(
    run: Any, tiny_run: Path, tiny_idx: Path, tmp_path: Path, preprocess: bool
) -> None:
    """Also of a graph that takes standardized images and gives logits."""
    import oraclezoo as oz

    folder = tmp_path / "exported"
    oz.export(tiny_run, folder, data_dir=tiny_idx, preprocess=preprocess, timed=False)
    images = np.asarray(
        oz.registry().create("dataset", "idx", data_dir=tiny_idx).split("validation").images
    )
    expected = Predictor(folder).probabilities(images)
    outcome = run(folder, images)
    assert np.abs(np.array(outcome["probabilities"]) - expected).max() < 1e-3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": "other/1"}, "not a model card of oraclezoo"),
        ({"onnx": None}, "names no ONNX file"),
        ({"input": {"in_chans": 3, "num_classes": 4, "image_size": SIZE}}, "gray images"),
        ({"onnx": {"file": "model.onnx", "sha256": 64 * "0", "precision": "fp32"}}, "not the one"),
    ],
)
def test_a_wrong_card_is_explained(
    run: Any, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    """A visitor may drop any files."""
    model = write_model(tmp_path / "model", **changes)
    assert reason in run(model, np.zeros((1, SIZE, SIZE), np.uint8))["error"]


def test_a_file_that_is_no_model_is_explained(run: Any, tmp_path: Path) -> None:
    """Its digest may even be right."""
    model = write_model(tmp_path / "model", b"no graph")
    outcome = run(model, np.zeros((1, SIZE, SIZE), np.uint8))
    assert "cannot be read" in outcome["error"]
    shutil.rmtree(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["first", "second", "third"]}, "4 outputs for 3 classes"),
        ({"input": {"in_chans": 1, "num_classes": 4, "image_size": 8}}, "cannot be run"),
        ({"input": {"in_chans": 1, "num_classes": 4, "image_size": -1}}, "from 1 to 1024 pixels"),
        ({"input": {"in_chans": 1, "num_classes": 4, "image_size": 99999}}, "from 1 to 1024"),
        ({"input": None}, "from 1 to 1024 pixels"),
        ({"preprocessing": None}, "no preprocessing"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    run: Any, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """When the model is opened, not at the first drawing."""
    model = write_model(tmp_path / "model", **changes)
    assert message in run(model, np.stack([drawn(0)]))["error"]
