"""Compute a model's baseline for drift detection from its data set's validation images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.resolve import learned_validation, track_of
from oraclezoo.contracts import Dataset
from oraclezoo.errors import UsageError
from oraclezoo.measure.temperature import tempered
from oraclezoo.watching.drift import baseline_of
from oraclezoo.watching.signals import Observations

SPLIT = "validation"


def with_baseline(
    model: Model, dataset: Dataset, *, track: str | None = None, twin: Model | None = None
) -> Model:
    """Return a model whose card contains a baseline for drift detection.

    Args:
        model: A model with an ONNX file.
        dataset: A data set; the model's inputs will be compared with its validation images.
        track: Name of the data set; by default the one that the model was trained on.
        twin: A model trained like ``model`` but without the validation images; required if
            ``model`` was trained on them. The baseline is then computed from the probabilities of
            the twin, at the temperature of ``model``.

    Raises:
        UsageError: The model has no ONNX file, or it was trained on the validation images and there
            is no twin.
    """
    if model.card.onnx is None:
        raise UsageError("a baseline describes an ONNX file; export the model first")
    if twin is None and track is None and learned_validation(model):
        raise UsageError("this model was trained on the validation images; pass a twin")
    images = np.asarray(dataset.split(SPLIT).images)
    prediction = model.predict(images)
    probabilities = prediction.probabilities
    if twin is not None:
        # the detector for unknown characters is never trained on validation images
        probabilities = twin.predict(images).probabilities
        if twin.card.calibration is None and model.card.calibration is not None:
            temperature = model.card.calibration.temperature
            probabilities = tempered(probabilities, temperature).astype(np.float32)
    baseline = baseline_of(
        Observations(images, probabilities, prediction.unknown_score),
        track_of(model, track),
        SPLIT,
        model.card.onnx.sha256,
        by_a_twin=twin is not None,
    )
    card = replace(model.card, baseline=baseline)
    return Model(model.module, card, model.onnx, model.form, model.detector)
