"""Measure a model before and after a step, and compare both in a receipt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from oraclezoo._version import __version__
from oraclezoo.artifacts.model import GRAPH, WEIGHTS, Model
from oraclezoo.artifacts.resolve import learned_validation, record_test_evaluation, track_of
from oraclezoo.card.receipt import (
    Change,
    LatencyRow,
    Metrics,
    Parity,
    Ratios,
    Receipt,
    Speedup,
)
from oraclezoo.contracts import Dataset
from oraclezoo.engine.device import exact_float32
from oraclezoo.errors import UsageError
from oraclezoo.measure import hardware, size
from oraclezoo.ranking.comparison import paired
from oraclezoo.ranking.predictions import accuracy_of
from oraclezoo.receipts.measurement import Measurement
from oraclezoo.receipts.notes import notes
from oraclezoo.receipts.timing import Subject, runtimes_of, summarize, time_in_turn
from oraclezoo.result import timestamp

TIE = 1e-3
"""Maximum difference between the probabilities of two classes that count as tied."""


@dataclass(frozen=True)
class Side:
    """Measurements of one model: ``metrics`` for the receipt, and the raw data behind them.

    ``probabilities``, float32 ``(N, C)``, and ``labels``, int64 ``(N,)``, are for the images in
    ``split`` of ``track``. ``learned`` is True if the model was trained on these images. ``rounds``
    holds the latency rows of each round; it is empty if the model was not timed.
    """

    metrics: Metrics
    track: str
    split: str
    synthetic: bool
    learned: bool
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    rounds: tuple[tuple[LatencyRow, ...], ...] = ()

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each image's prediction is correct, bool ``(N,)``.

        Probabilities are rounded to float16 before prediction, as in the benchmark.
        """
        stored = self.probabilities.astype(np.float16)
        correct: npt.NDArray[np.bool_] = stored.argmax(1) == self.labels
        return correct

    def in_form(
        self, probabilities: npt.NDArray[np.float32], *, form: str, file: str, size_bytes: int
    ) -> Side:
        """Return measurements, without latency, of the same model in a different file format."""
        metrics = replace(
            self.metrics,
            form=form,
            accuracy=accuracy_of(probabilities, self.labels),
            loss=_loss(probabilities, self.labels),
            file=file,
            size_bytes=size_bytes,
            latency=(),
            peak_memory_bytes={},
            not_run={},
        )
        return replace(self, metrics=metrics, probabilities=probabilities, rounds=())


class StepOptions(Protocol):
    """The options and results of a step such as pruning, for its receipt."""

    def to_json(self) -> dict[str, Any]:
        """Return the ``options`` entry of the receipt."""
        ...


@dataclass(frozen=True)
class Step:
    """A step to measure: its name, its options, and the model before and after it.

    ``runtimes`` lists the runtimes in which each model is timed. By default, a model is timed in
    ONNX Runtime, and in eager mode too if it has no ONNX file. PyTorch runs on ``device``.
    """

    name: str
    before: Model
    after: Model
    options: StepOptions | None = None
    runtimes: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    device: str = "cpu"


def measure(
    model: Model,
    dataset: Dataset,
    measurement: Measurement,
    progress: Callable[[str], None] | None = None,
) -> Side:
    """Measure one model on the CPU; use :func:`prove` to compare two models."""
    subject = Subject(model, runtimes_of(model))
    if measurement.timed:
        time_in_turn(
            [subject],
            settings=measurement.settings,
            rounds=measurement.rounds,
            progress=progress,
        )
    return side(subject, dataset, measurement)


def prove(
    step: Step,
    dataset: Dataset,
    measurement: Measurement,
    progress: Callable[[str], None] | None = None,
) -> Receipt:
    """Measure a model before and after a step, and return the receipt.

    Args:
        step: The two models, the step's options, and the runtimes for timing.
        dataset: The data set on which the models are evaluated.
        measurement: Split, latency settings, and the folder with the ledger, which records
            test-set evaluations.
        progress: Called with one line of text for each stage.

    Raises:
        JobError: A timing process failed.
    """
    models = (step.before, step.after)
    runtimes = step.runtimes or (runtimes_of(step.before), runtimes_of(step.after))
    subjects = [
        Subject(model, names, device=step.device)
        for model, names in zip(models, runtimes, strict=True)
    ]
    if measurement.timed:
        time_in_turn(
            subjects, settings=measurement.settings, rounds=measurement.rounds, progress=progress
        )
    if progress:
        progress(f"scoring on the {measurement.split} images")
    before, after = (side(subject, dataset, measurement) for subject in subjects)
    return receipt(step.name, before, after, step.options, device=step.device)


def receipt(
    step: str,
    before: Side,
    after: Side,
    options: StepOptions | None = None,
    *,
    device: str = "cpu",
) -> Receipt:
    """Compare the measurements of two models on ``device``, and return the step's receipt.

    Raises:
        UsageError: The two models were measured on different images.
    """
    if (before.track, before.split) != (after.track, after.split) or not np.array_equal(
        before.labels, after.labels
    ):
        raise UsageError("before and after were measured on different images")
    change = paired(before.correct, after.correct)
    figures = before.metrics, after.metrics
    unannotated = Receipt(
        step=step,
        created=timestamp(),
        oraclezoo=__version__,
        options={} if options is None else options.to_json(),
        track=before.track,
        synthetic=before.synthetic,
        split=before.split,
        images=len(before.labels),
        learned=before.learned,
        before=before.metrics,
        after=after.metrics,
        accuracy=Change(
            difference=change.difference,
            ci95=(change.low, change.high),
            loss_limit95=change.limit,
            over=change.over,
            lost=change.lost,
            gained=change.gained,
        ),
        parity=parity(before.probabilities, after.probabilities),
        ratios=Ratios(
            parameters=_ratio(*(side.parameters for side in figures)),
            macs=_ratio(*(side.macs for side in figures)),
            size_bytes=_ratio(*(side.size_bytes for side in figures)),
        ),
        speedups=_speedups(before, after),
        hardware=hardware.describe(torch.device(device)),
        libraries=hardware.libraries(),
        notes=(),
    )
    return replace(unannotated, notes=notes(unannotated))


def parity(
    before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], tie: float = TIE
) -> Parity:
    """Compare two arrays of class probabilities ``(N, C)``.

    An image for which the top classes differ counts as a tie if the probabilities of these two
    classes before the step differ by less than ``tie``.
    """
    first, second = before.argmax(1), after.argmax(1)
    rows = np.flatnonzero(first != second)
    gap = before[rows, first[rows]] - before[rows, second[rows]]
    return Parity(
        agreement=1 - len(rows) / len(before),
        disagreeing=len(rows),
        ties=int((gap < tie).sum()),
        largest_difference=float(np.abs(before - after).max()),
        mean_difference=float(np.abs(before - after).mean()),
    )


def side(subject: Subject, dataset: Dataset, measurement: Measurement) -> Side:
    """Evaluate a model and count its operations; include the latency in ``subject``."""
    model, track = subject.model, measurement.track
    if measurement.split == "test":
        record_test_evaluation(model, dataset, Path(measurement.results), track)
    part = dataset.split(measurement.split)
    with exact_float32():
        probabilities = model.to(subject.device).predict(part.images).probabilities
    labels = np.asarray(part.labels)
    metrics = Metrics(
        form="onnx" if model.onnx else "torch",
        precision=model.precision,
        accuracy=accuracy_of(probabilities, labels),
        loss=_loss(probabilities, labels),
        parameters=size.parameters(model.module),
        macs=size.macs(model.classifier, **model.card.input.image),
        file=GRAPH if model.onnx else WEIGHTS,
        size_bytes=len(model.onnx) if model.onnx else len(model.weights()),
        latency=summarize(subject.rows) if subject.rows else (),
        peak_memory_bytes=dict(subject.peak),
        not_run=dict(subject.failed),
        peak_device_memory_bytes=dict(subject.device_peak),
        compile_s=dict(subject.compile_s),
    )
    name = track_of(model, track)
    own_validation = measurement.split == "validation" and name == track_of(model)
    return Side(
        metrics=metrics,
        track=name,
        split=measurement.split,
        synthetic=dataset.synthetic,
        learned=own_validation and learned_validation(model),
        probabilities=probabilities,
        labels=labels,
        rounds=tuple(tuple(rows) for rows in subject.rows),
    )


def _loss(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood in nats."""
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(likelihood, 1e-12)).mean())


def _ratio(before: float, after: float) -> float | None:
    return before / after if before and after else None


def _speedups(before: Side, after: Side) -> tuple[Speedup, ...]:
    """Return the speed-up at each setting: the ratio of the fastest rounds, and the range.

    Latencies in the same runtime are compared. Latencies in different runtimes are compared only if
    the two models have no runtime in common.
    """
    if not before.rounds or not after.rounds:
        return ()
    runtimes = [{row.runtime for row in side.rounds[0]} for side in (before, after)]
    common = runtimes[0] & runtimes[1]
    speedups = []
    for new_index, new in enumerate(after.rounds[0]):
        for old_index, old in enumerate(before.rounds[0]):
            if (new.batch_size, new.threads) != (old.batch_size, old.threads):
                continue
            if common and new.runtime != old.runtime:
                continue
            old_ms = [rows[old_index].p50_ms for rows in before.rounds]
            new_ms = [rows[new_index].p50_ms for rows in after.rounds]
            ratios = [first / second for first, second in zip(old_ms, new_ms, strict=True)]
            speedups.append(
                Speedup(
                    runtime=new.runtime,
                    from_runtime=old.runtime,
                    batch_size=new.batch_size,
                    threads=new.threads,
                    speedup=min(old_ms) / min(new_ms),
                    low=min(ratios),
                    high=max(ratios),
                )
            )
    return tuple(speedups)
