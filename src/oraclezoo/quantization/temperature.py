"""Calibrate a model's probabilities, and fit its detector for unknown characters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.resolve import learned_validation, open_data, open_model
from oraclezoo.artifacts.run import Source, writing_model
from oraclezoo.card import Calibration
from oraclezoo.contracts import Dataset
from oraclezoo.data.splits import position_in_class
from oraclezoo.errors import UsageError
from oraclezoo.measure.temperature import fit_temperature, mean_loss, tempered
from oraclezoo.onnx_export.tempering import divide_logits
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.quantization.baseline import with_baseline
from oraclezoo.quantization.unknown import detecting
from oraclezoo.ranking.calibration import expected_error

FOLDS = 5
"""Number of cross-validation folds; the calibration error is measured on the held-out images."""


def calibrate(
    model: Source,
    out: str | Path | None = None,
    *,
    unknown: bool = True,
    track: str | None = None,
    data_dir: str | Path | None = None,
    registry: Registry | None = None,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Calibrate a model's probabilities, and fit its detector for unknown characters.

    The predicted classes do not change.

    Calibration divides the logits by a temperature, which is fitted by minimizing the negative
    log-likelihood of the validation images (Guo et al., "On calibration of modern neural networks",
    ICML 2017). The detector is a small CNN that distinguishes the training images from images of
    anything else (``oraclezoo.quantization.unknown``). Both are stored with the model and, if it
    has an ONNX file, in the graph. A model with an ONNX file also gets a baseline for drift
    detection during serving (``oraclezoo.watching.drift``).

    Args:
        model: A model, a run, the folder of either, or a model's name. A model that is already
            calibrated is calibrated again.
        out: Folder to write the model to.
        unknown: Whether to fit the detector, which takes one to three minutes.
        track: Data set; by default the model's training data set.
        data_dir: Folder with the data set's files.
        registry: Registry of components; by default one with all installed plugins.
        progress: Called with one line of text per event.

    Returns:
        The calibrated model. ``card.calibration`` contains the loss and the expected calibration
        error before and after calibration, measured on images that were not used to fit the
        temperature; ``card.unknown`` contains the detector's threshold and the fraction of images
        that it accepts.

    Raises:
        UsageError: The model was trained on the validation images, or there are too few of them.

    Example:
        >>> model = oz.calibrate("exported", "calibrated")  # doctest: +SKIP
        >>> model.card.calibration.after["ece"]  # doctest: +SKIP
        0.021
    """
    known = registry or build_registry()
    return _calibrate(model, out, unknown, track, data_dir, known, progress)


@writing_model
def _calibrate(
    model: Source,
    out: str | Path | None,
    unknown: bool,
    track: str | None,
    data_dir: str | Path | None,
    registry: Registry,
    progress: Callable[[str], None] | None,
) -> Model:
    opened = open_model(model, registry)
    if learned_validation(opened) and track is None:
        raise UsageError(
            "this model was trained on the validation images (data.refit), on which it is too "
            "confident: calibrate a model that was not, or choose different data with --track"
        )
    dataset = open_data(opened, registry, track=track, data_dir=data_dir, progress=progress)
    part = dataset.split("validation")
    entry = fitted(opened.predict(part.images).probabilities, np.asarray(part.labels))
    calibrated = _scaled(opened, entry)
    if unknown:
        calibrated = detecting(calibrated, dataset, progress)
    if calibrated.onnx is not None:
        calibrated = with_baseline(calibrated, dataset, track=track)
    if out is not None:
        calibrated.save(out)
    return calibrated


def _scaled(model: Model, entry: Calibration) -> Model:
    """Return a model whose logits are divided by an additional temperature."""
    earlier = model.card.calibration
    whole = entry.temperature * (1.0 if earlier is None else earlier.temperature)
    card = replace(model.card, calibration=replace(entry, temperature=whole))
    scaled = Model(model.module, card, model.onnx, model.form, model.detector)
    if model.onnx is None or card.onnx is None:
        return scaled
    content = divide_logits(model.onnx, entry.temperature, card.metadata())
    return scaled.with_onnx(
        content,
        precision=card.onnx.precision,
        opset=card.onnx.opset,
        input=card.onnx.input,
        versions=card.onnx.versions,
    )


def calibrated(
    model: Model,
    dataset: Dataset,
    twin: Model,
    *,
    unknown: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Calibrate a model that was trained on the validation images, using a twin that was not.

    The detector for unknown characters needs no twin, since it is trained on the training images
    only.

    Args:
        model: The model; it must not be calibrated or have an ONNX file.
        dataset: The model's data set.
        twin: A model trained like ``model``, but on the training images only.
        unknown: Whether to fit the detector.
        progress: Called with one line of text per event.

    Raises:
        UsageError: The model has an ONNX file or is already calibrated.
    """
    model = model.as_float()
    if model.onnx or model.card.calibration:
        raise UsageError("this model has an ONNX file or is calibrated; calibrate the original")
    part = dataset.split("validation")
    entry = fitted(twin.predict(part.images).probabilities, np.asarray(part.labels))
    scaled = _scaled(model, replace(entry, by_a_twin=True))
    return detecting(scaled, dataset, progress) if unknown else scaled


def fitted(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Calibration:
    """Fit a temperature, and measure its effect by cross-validation.

    Args:
        probabilities: Class probabilities ``(N, C)`` for images that the model was not trained on.
        labels: Labels of the images, ``(N,)``.

    Raises:
        UsageError: There are fewer images than folds.
    """
    if len(labels) < 2 * FOLDS:
        raise UsageError(
            f"{len(labels)} validation images; calibration requires at least {2 * FOLDS}"
        )
    fold = position_in_class(labels) % FOLDS
    fold = fold if len(np.unique(fold)) == FOLDS else np.arange(len(labels)) % FOLDS
    left_out = np.empty(probabilities.shape)
    for number in range(FOLDS):
        rest, own = fold != number, fold == number
        temperature = fit_temperature(probabilities[rest], labels[rest])
        left_out[own] = tempered(probabilities[own], temperature)
    return Calibration(
        temperature=fit_temperature(probabilities, labels),
        split="validation",
        images=len(labels),
        by_a_twin=False,
        folds=FOLDS,
        before=_scores(probabilities, labels),
        after=_scores(left_out, labels),
    )


def _scores(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> dict[str, float]:
    right = probabilities.argmax(1) == labels
    return {
        "loss": mean_loss(probabilities, labels),
        "ece": expected_error(probabilities.max(1), right),
    }
