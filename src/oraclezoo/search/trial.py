"""One trial of a compression search: prune to a given fraction, export, quantize, and measure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from oraclezoo.artifacts.load import load
from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.run import Run
from oraclezoo.card import CARD
from oraclezoo.contracts import Dataset
from oraclezoo.engine.records import Callbacks
from oraclezoo.errors import DivergedError, OutOfMemoryError, UsageError, VerificationError
from oraclezoo.plugins.registry import Registry
from oraclezoo.pruning.options import PruneOptions
from oraclezoo.pruning.prune import prune_model
from oraclezoo.quantization.export import export_model
from oraclezoo.quantization.onnx import quantize_onnx
from oraclezoo.quantization.options import Export, Quantization
from oraclezoo.ranking.comparison import paired
from oraclezoo.receipts.receipt import Side, side
from oraclezoo.receipts.timing import Setting, Subject, time_in_turn
from oraclezoo.search.goals import Goals
from oraclezoo.search.journal import Candidate, Trial
from oraclezoo.search.options import Compression

RUNTIME = ("onnxruntime",)
FLOAT, INT8 = "fp32", "int8"
TINY = 1e-9
"""Lower bound for probabilities, which keeps their logarithms finite."""


@dataclass(frozen=True)
class Chain:
    """The steps of every trial, with the inputs that all trials share.

    ``source`` is the model to prune, ``original`` the same model with its float ONNX file, and
    ``before`` the measurements of the original on the validation images. ``work`` is the working
    directory.
    """

    source: Model | Run | str | Path
    original: Model
    before: Side
    dataset: Dataset
    options: Compression
    registry: Registry
    work: Path
    callbacks: Callbacks

    @property
    def goals(self) -> Goals:
        """The latency, size and accuracy limits."""
        return self.options.goals

    @property
    def setting(self) -> Setting:
        """Batch size and number of threads for latency measurements."""
        return self.options.timing.setting

    def say(self, text: str) -> None:
        """Report a line of progress."""
        self.callbacks.say(text)

    def run(self, number: int, share: float) -> Trial:
        """Create and measure candidates that keep a fraction ``share`` of the multiply-accumulates.

        If pruning fails, the returned trial has a reason and no candidates.
        """
        if share == 1:
            models = {INT8: self._quantized(self.original)}
        else:
            try:
                models = self._pruned(number, share)
            except (UsageError, DivergedError, OutOfMemoryError, VerificationError) as error:
                return Trial(number, share, (), f"{type(error).__name__}: {error}")
        original = Subject(self.original, RUNTIME)
        subjects = {form: Subject(model, RUNTIME) for form, model in models.items()}
        self.say("timing next to the original")
        time_in_turn(
            [original, *subjects.values()],
            settings=[self.setting],
            rounds=self.options.timing.rounds,
        )
        candidates = [self._candidate(original, subject) for subject in subjects.values()]
        for form, model in models.items():
            model.save(self._folder(number) / form)
        if share == 1:
            candidates = [_original_candidate(self.before, original), *candidates]
        return Trial(number, share, tuple(candidates))

    def model(self, trial: Trial, candidate: Candidate) -> Model:
        """Load the model of a candidate. Raises ResultError."""
        if is_original(trial, candidate):
            return self.original
        return load(self._folder(trial.number) / candidate.precision, self.registry)

    def _folder(self, number: int) -> Path:
        return self.work / f"trial-{number}"

    def _pruned(self, number: int, share: float) -> dict[str, Model]:
        """Return the pruned model in float and in int8."""
        folder, options = self._folder(number) / "pruned", self.options
        if (folder / CARD).is_file():  # an earlier process stopped after pruning
            model = load(folder, self.registry)
        else:
            pruning = PruneOptions(
                pruning=replace(options.pruning, target=share),
                tuning=options.tuning,
                recipe=options.recipe,
                device=options.device,
                measurement=options.data_only,
                resume=True,
            )
            model = prune_model(self.source, folder, pruning, self.registry, self.callbacks)
        entry = self.original.card.onnx
        preprocess = entry is None or entry.input == "uint8"
        export = Export(preprocess=preprocess)
        exported = export_model(model, None, export, options.data_only, self.registry)
        return {FLOAT: exported, INT8: self._quantized(exported)}

    def _quantized(self, model: Model) -> Model:
        options = Quantization(int8=self.options.int8, measurement=self.options.data_only)
        return quantize_onnx(model, None, options, self.registry)

    def _candidate(self, original: Subject, subject: Subject) -> Candidate:
        after = side(subject, self.dataset, self.options.data_only)
        change = paired(self.before.correct, after.correct)
        metrics, original_metrics = after.metrics, self.before.metrics
        latency, rounds = relative_latency(original, subject)
        return Candidate(
            precision=metrics.precision,
            accuracy=metrics.accuracy,
            loss=metrics.loss,
            difference=change.difference,
            ci95=(change.low, change.high),
            loss_limit95=change.limit,
            lost=change.lost,
            gained=change.gained,
            macs=metrics.macs / original_metrics.macs,
            size_bytes=metrics.size_bytes,
            size=metrics.size_bytes / original_metrics.size_bytes,
            p50_ms=fastest_ms(subject),
            latency=latency,
            latency_rounds=rounds,
            loss_se=standard_error(self.before, after),
        )


def standard_error(before: Side, after: Side) -> float:
    """Return the standard error of the mean difference in cross-entropy over images, in nats."""
    indices = np.arange(len(before.labels)), before.labels
    differences = np.log(np.maximum(before.probabilities[indices], TINY)) - np.log(
        np.maximum(after.probabilities[indices], TINY)
    )
    if len(differences) < 2:
        return 0.0
    return float(differences.std(ddof=1) / math.sqrt(len(differences)))


def is_original(trial: Trial, candidate: Candidate) -> bool:
    """Return whether a candidate is the original model, neither pruned nor quantized."""
    return trial.asked == 1 and candidate.precision == FLOAT


def fastest_ms(subject: Subject) -> float:
    """Return the median latency in milliseconds in the fastest round, at the first setting."""
    return min(rows[0].p50_ms for rows in subject.rows)


def relative_latency(original: Subject, subject: Subject) -> tuple[float, tuple[float, float]]:
    """Return the latency relative to the original, with its minimum and maximum over rounds.

    The ratio compares the fastest rounds at the first setting.
    """
    ratios = [
        after[0].p50_ms / before[0].p50_ms
        for before, after in zip(original.rows, subject.rows, strict=True)
    ]
    return fastest_ms(subject) / fastest_ms(original), (min(ratios), max(ratios))


def _original_candidate(before: Side, original: Subject) -> Candidate:
    """Return the original as a candidate: all relative values are 1."""
    metrics = before.metrics
    return Candidate(
        precision=metrics.precision,
        accuracy=metrics.accuracy,
        loss=metrics.loss,
        difference=0.0,
        ci95=(0.0, 0.0),
        loss_limit95=0.0,
        lost=0,
        gained=0,
        macs=1.0,
        size_bytes=metrics.size_bytes,
        size=1.0,
        p50_ms=fastest_ms(original),
        latency=1.0,
        latency_rounds=(1.0, 1.0),
    )
