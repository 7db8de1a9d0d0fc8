"""Trial of a compression: pruned to one strength, exported, quantized, and held to the original."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oraclezoo.artifacts.model import CARD, Model, load
from oraclezoo.artifacts.run import Run
from oraclezoo.contracts import Dataset
from oraclezoo.errors import DivergedError, OutOfMemoryError, UsageError, VerificationError
from oraclezoo.plugins.registry import Registry
from oraclezoo.pruning.prune import prune
from oraclezoo.quantization.export import export
from oraclezoo.quantization.onnx import quantize
from oraclezoo.ranking.paired import paired
from oraclezoo.receipts.receipt import Side, side
from oraclezoo.receipts.timing import Subject, time_in_turn
from oraclezoo.search.journal import Candidate, Trial

RUNTIME = ("onnxruntime",)
FLOAT, INT8 = "fp32", "int8"
TINY = 1e-9
"""No probability is taken for less, as its logarithm would have no bound."""


@dataclass(frozen=True)
class Chain:
    """What all trials share.

    ``source`` is what is pruned, ``original`` the same with its float ONNX file, ``before`` that on
    the validation images. ``pruning`` and ``rounding`` are options of the steps, ``common`` of all.
    ``setting``: batch size and threads.
    """

    source: Model | Run | str | Path
    original: Model
    before: Side
    dataset: Dataset
    pruning: Mapping[str, Any]
    rounding: Mapping[str, Any]
    common: Mapping[str, Any]
    setting: tuple[int, int]
    rounds: int
    registry: Registry
    work: Path
    say: Callable[[str], None]

    def run(self, number: int, share: float) -> Trial:
        """Make and measure the models of one share; a failed trial where pruning cannot do it."""
        if share == 1:
            forms = {INT8: self._quantized(self.original)}
        else:
            try:
                forms = self._pruned(number, share)
            except (UsageError, DivergedError, OutOfMemoryError, VerificationError) as error:
                return Trial(number, share, (), f"{type(error).__name__}: {error}")
        original = Subject(self.original, RUNTIME)
        subjects = {form: Subject(model, RUNTIME) for form, model in forms.items()}
        self.say("timing it beside the original")
        together = [original, *subjects.values()]
        time_in_turn(together, settings=[self.setting], rounds=self.rounds)
        made = [self._candidate(original, subject) for subject in subjects.values()]
        for form, model in forms.items():
            model.save(self._folder(number) / form)
        if share == 1:
            made = [_itself(self.before, original), *made]
        return Trial(number, share, tuple(made))

    def model(self, trial: Trial, made: Candidate) -> Model:
        """The model of a candidate, as its trial left it. Raises ResultError."""
        if is_original(trial, made):
            return self.original
        return load(self._folder(trial.number) / made.precision, self.registry)

    def _folder(self, number: int) -> Path:
        return self.work / f"trial-{number}"

    def _pruned(self, number: int, share: float) -> dict[str, Model]:
        place = self._folder(number) / "pruned"
        if (place / CARD).is_file():  # left by a trial that was killed later on
            model = load(place, self.registry)
        else:
            model = prune(
                self.source,
                place,
                macs=share,
                resume=True,
                timed=False,
                progress=self.say,
                **self.pruning,
                **self._given,
            )
        whole = self.original.card["onnx"].get("input", "uint8") == "uint8"
        exported = export(model, preprocess=whole, timed=False, **self._given)
        return {FLOAT: exported, INT8: self._quantized(exported)}

    def _quantized(self, model: Model) -> Model:
        return quantize(model, timed=False, **self.rounding, **self._given)

    @property
    def _given(self) -> dict[str, Any]:
        return {**self.common, "registry": self.registry}

    def _candidate(self, original: Subject, subject: Subject) -> Candidate:
        after = side(subject, self.dataset, "validation", "", self.common["track"])
        found = paired(self.before.correct, after.correct)
        facts, whole = after.facts, self.before.facts
        latency, rounds = share_of_time(original, subject)
        return Candidate(
            precision=facts["precision"],
            accuracy=facts["accuracy"],
            loss=facts["loss"],
            difference=found.difference,
            ci95=(found.low, found.high),
            loss_limit95=found.limit,
            lost=found.lost,
            gained=found.gained,
            macs=facts["macs"] / whole["macs"],
            size_bytes=facts["size_bytes"],
            size=facts["size_bytes"] / whole["size_bytes"],
            p50_ms=calmest_ms(subject),
            latency=latency,
            latency_rounds=rounds,
            loss_se=standard_error(self.before, after),
        )


def standard_error(before: Side, after: Side) -> float:
    """Over images, of the mean difference of two models' cross-entropies, in nats."""
    places = np.arange(len(before.labels)), before.labels
    apart = np.log(np.maximum(before.probabilities[places], TINY)) - np.log(
        np.maximum(after.probabilities[places], TINY)
    )
    return float(apart.std(ddof=1) / math.sqrt(len(apart))) if len(apart) > 1 else 0.0


def is_original(trial: Trial, made: Candidate) -> bool:
    """Whether a candidate is the model itself, neither pruned nor quantized."""
    return trial.asked == 1 and made.precision == FLOAT


def calmest_ms(subject: Subject) -> float:
    """Median time of a pass at the first setting, in the calmest round."""
    return min(float(rows[0]["p50_ms"]) for rows in subject.rows)


def share_of_time(original: Subject, subject: Subject) -> tuple[float, tuple[float, float]]:
    """Time at the first setting as a share of the original's; and its lowest and highest round."""
    shares = [
        float(after[0]["p50_ms"] / before[0]["p50_ms"])
        for before, after in zip(original.rows, subject.rows, strict=True)
    ]
    return calmest_ms(subject) / calmest_ms(original), (min(shares), max(shares))


def _itself(before: Side, original: Subject) -> Candidate:
    """The original as a candidate: all shares are 1, and nothing is lost."""
    facts = before.facts
    return Candidate(
        precision=facts["precision"],
        accuracy=facts["accuracy"],
        loss=facts["loss"],
        difference=0.0,
        ci95=(0.0, 0.0),
        loss_limit95=0.0,
        lost=0,
        gained=0,
        macs=1.0,
        size_bytes=facts["size_bytes"],
        size=1.0,
        p50_ms=calmest_ms(original),
        latency=1.0,
        latency_rounds=(1.0, 1.0),
    )
