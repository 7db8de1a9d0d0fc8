"""Temperature calibration of a model on validation images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from oraclezoo.artifacts.model import Model
from oraclezoo.card import Calibration
from oraclezoo.contracts import Dataset
from oraclezoo.errors import UsageError
from oraclezoo.measure.temperature import fit_temperature, mean_loss, tempered
from oraclezoo.ranking.calibration import expected_error


def calibrate(model: Model, dataset: Dataset, *, twin: Model | None = None) -> Model:
    """Return a copy of a model with calibrated probabilities; its labels do not change.

    Calibrate before the export, since the temperature is part of the graph.

    Args:
        model: The model, without an ONNX file.
        dataset: Its data set; the temperature is fitted on the validation images.
        twin: A model trained in the same way without the validation images, to fit the temperature
            on; needed if ``model`` was trained on them.

    Raises:
        UsageError: The model has an ONNX file or a temperature.
    """
    model = model.as_float()
    if model.onnx or model.card.calibration:
        raise UsageError(
            "this model already has an ONNX file or a temperature; calibrate the original model"
        )
    part = dataset.split("validation")
    labels = np.asarray(part.labels)
    before = (twin or model).predict(part.images).probabilities
    temperature = fit_temperature(before, labels)
    after = tempered(before, temperature)
    calibration = Calibration(
        temperature=temperature,
        split="validation",
        images=len(labels),
        by_a_twin=twin is not None,
        before=_scores(before, labels),
        after=_scores(after, labels),
    )
    return Model(model.module, replace(model.card, calibration=calibration))


def _scores(probabilities: Any, labels: Any) -> dict[str, float]:
    right = probabilities.argmax(1) == labels
    return {
        "loss": mean_loss(probabilities, labels),
        "ece": expected_error(probabilities.max(1), right),
    }
