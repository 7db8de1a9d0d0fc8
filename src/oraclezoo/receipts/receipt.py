"""Receipt: what a step did to a model, measured before and after in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oraclezoo._version import __version__
from oraclezoo.artifacts.model import GRAPH, WEIGHTS, Model
from oraclezoo.artifacts.resolve import learned_validation, note_look, track_of
from oraclezoo.contracts import Dataset
from oraclezoo.engine.device import exact_float32
from oraclezoo.errors import UsageError, VerificationError
from oraclezoo.measure import hardware, size
from oraclezoo.ranking.paired import paired
from oraclezoo.ranking.predictions import accuracy_of
from oraclezoo.receipts import notes as receipt_notes
from oraclezoo.receipts.timing import ROUNDS, Subject, runtimes_of, summarise, time_in_turn
from oraclezoo.result import timestamp

SCHEMA = "oraclezoo/receipt/1"

TIE = 1e-3
"""Two classes whose probabilities are nearer than this are tied: rounding may swap them."""


@dataclass(frozen=True)
class Side:
    """A model as it was measured: ``facts`` for the receipt, and what they rest on.

    ``probabilities`` float32 ``(N, C)`` and ``labels`` int64 ``(N,)`` of ``split`` of ``track``;
    ``learned``: the model was trained on these images; ``rounds`` the latency rows of each round,
    none where no time was taken.
    """

    facts: dict[str, Any]
    track: str
    split: str
    synthetic: bool
    learned: bool
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    rounds: list[list[dict[str, Any]]]

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each image is classified rightly, as the protocol has it: bool ``(N,)``."""
        kept = self.probabilities.astype(np.float16)
        right: npt.NDArray[np.bool_] = kept.argmax(1) == self.labels
        return right

    def with_probabilities(self, found: npt.NDArray[np.float32], **facts: Any) -> Side:
        """The same model in another form that gave these probabilities, and was not timed."""
        scores = {"accuracy": accuracy_of(found, self.labels), "loss": _loss(found, self.labels)}
        without: dict[str, Any] = {"latency": [], "peak_memory_bytes": {}, "not_run": {}}
        return replace(
            self,
            facts={**self.facts, **scores, **without, **facts},
            probabilities=found,
            rounds=[],
        )


def measure(
    model: Model,
    dataset: Dataset,
    *,
    split: str = "validation",
    results: str | Path = "results",
    track: str | None = None,
    timed: bool = True,
    rounds: int = ROUNDS,
    settings: Sequence[tuple[int, int]] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Side:
    """Measure one model on the CPU; see :func:`prove` for two, whose times are taken in turn."""
    subject = Subject(model, runtimes_of(model))
    if timed:
        time_in_turn([subject], settings=settings, rounds=rounds, progress=progress)
    return side(subject, dataset, split, results, track)


def prove(
    step: str,
    options: dict[str, Any],
    before: Model,
    after: Model,
    dataset: Dataset,
    *,
    split: str = "validation",
    results: str | Path = "results",
    track: str | None = None,
    timed: bool = True,
    rounds: int = ROUNDS,
    settings: Sequence[tuple[int, int]] | None = None,
    runtimes: tuple[tuple[str, ...], tuple[str, ...]] | None = None,
    device: str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure a model before and after a step, and make the receipt.

    ``options`` are the step's own. ``settings`` are pairs of batch size and threads; times are
    taken by ``runtimes``, by default ONNX Runtime and, of models without an ONNX file, eager.
    Torch's runtimes, and models without an ONNX file, run on ``device``. A look at the test split
    is noted in the ledger of the ``results`` folder.
    """
    chosen = runtimes or (runtimes_of(before), runtimes_of(after))
    subjects = [
        Subject(model, by, device=device) for model, by in zip((before, after), chosen, strict=True)
    ]
    if timed:
        time_in_turn(subjects, settings=settings, rounds=rounds, progress=progress)
    if progress:
        progress(f"scoring on the {split} images")
    sides = [side(subject, dataset, split, results, track) for subject in subjects]
    return receipt(step, options, *sides, device=device)


def receipt(
    step: str, options: dict[str, Any], before: Side, after: Side, *, device: str = "cpu"
) -> dict[str, Any]:
    """The receipt of a step as a JSON document. Accuracies are shares, sizes bytes, times ms.

    The interval is over images, paired; ``device`` is what both were measured on. Raises UsageError
    if the two sides were measured on different images.
    """
    if (before.track, before.split) != (after.track, after.split) or not np.array_equal(
        before.labels, after.labels
    ):
        raise UsageError("before and after were measured on different images")
    found = paired(before.correct, after.correct)
    made = {
        "schema": SCHEMA,
        "step": step,
        "created": timestamp(),
        "oraclezoo": __version__,
        "options": options,
        "track": before.track,
        "synthetic": before.synthetic,
        "split": before.split,
        "images": len(before.labels),
        "learned": before.learned,
        "before": before.facts,
        "after": after.facts,
        "accuracy": {
            "difference": found.difference,
            "ci95": [found.low, found.high],
            "loss_limit95": found.limit,
            "over": found.over,
            "lost": found.lost,
            "gained": found.gained,
        },
        "parity": parity(before.probabilities, after.probabilities),
        "ratios": {
            key: _ratio(before.facts[key], after.facts[key])
            for key in ("parameters", "macs", "size_bytes")
        },
        "speedups": _speedups(before, after),
        "hardware": hardware.describe(torch.device(device)),
        "libraries": hardware.libraries(),
    }
    return {**made, "notes": receipt_notes.notes(made)}


def parity(
    before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], tie: float = TIE
) -> dict[str, Any]:
    """How two sets of probabilities ``(N, C)`` agree.

    ``agreement``: share of images with the same first class; of the ``disagreeing`` ones, ``ties``
    have two classes nearer than ``tie`` before. ``largest_difference``: of any probability.
    """
    first, second = before.argmax(1), after.argmax(1)
    rows = np.flatnonzero(first != second)
    gap = before[rows, first[rows]] - before[rows, second[rows]]
    return {
        "agreement": 1 - len(rows) / len(before),
        "disagreeing": len(rows),
        "ties": int((gap < tie).sum()),
        "largest_difference": float(np.abs(before - after).max()),
        "mean_difference": float(np.abs(before - after).mean()),
    }


def gate(made: dict[str, Any], *, max_drop: float | None, max_limit: float | None) -> None:
    """Raise VerificationError if accuracy fell by more than ``max_drop`` points.

    ``max_limit`` bounds the one-sided 95% limit of that loss in the same way.
    """
    accuracy = made["accuracy"]
    drop, limit = -100 * accuracy["difference"], 100 * accuracy["loss_limit95"]
    where = f"of {made['images']} {made['split']} images"
    failed = []
    if max_drop is not None and drop > max_drop + 1e-9:
        failed.append(f"{made['step']} lost {drop:.2f} points {where}, more than {max_drop:g}")
    if max_limit is not None and limit > max_limit + 1e-9:
        failed.append(
            f"the 95% limit of the loss is {limit:.2f} points {where}, more than {max_limit:g}"
        )
    if failed:
        raise VerificationError("; ".join(failed) + "; nothing was written")


def side(
    subject: Subject, dataset: Dataset, split: str, results: str | Path, track: str | None
) -> Side:
    """Score and count a model, and join that with the times that were taken of it."""
    model = subject.model
    if split == "test":
        note_look(model, dataset, Path(results), track)
    part = dataset.split(split)
    with exact_float32():
        probabilities = model.to(subject.device).predict(part.images).probabilities
    labels = np.asarray(part.labels)
    given = model.card["input"]
    shape = {"in_chans": given["in_chans"], "image_size": given["image_size"]}
    rounds = subject.rows
    facts: dict[str, Any] = {
        "form": "onnx" if model.onnx else "torch",
        "precision": model.precision,
        "accuracy": accuracy_of(probabilities, labels),
        "loss": _loss(probabilities, labels),
        "parameters": size.parameters(model.module),
        "macs": size.macs(model.classifier, **shape),
        "file": GRAPH if model.onnx else WEIGHTS,
        "size_bytes": len(model.onnx) if model.onnx else len(model.weights()),
        "latency": summarise(rounds) if rounds else [],
        "peak_memory_bytes": dict(subject.peak),
        "not_run": dict(subject.failed),
    }
    if subject.device_peak:
        facts["peak_device_memory_bytes"] = dict(subject.device_peak)
    if subject.compile_s:
        facts["compile_s"] = dict(subject.compile_s)
    name = track_of(model, track)
    learned = split == "validation" and name == track_of(model) and learned_validation(model)
    return Side(facts, name, split, dataset.synthetic, learned, probabilities, labels, rounds)


def _loss(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Mean negative log-likelihood, nats."""
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(likelihood, 1e-12)).mean())


def _ratio(before: float, after: float) -> float | None:
    """How many times less there is after; None where there is nothing to divide."""
    return before / after if after else None


def _speedups(before: Side, after: Side) -> list[dict[str, Any]]:
    """How many times faster at each setting: by the calmest rounds; ``low``, ``high`` by each.

    Within one runtime; where the two sides have none in common, across them, and it says so.
    """
    if not before.rounds or not after.rounds:
        return []
    ran = [[row["runtime"] for row in side.rounds[0]] for side in (before, after)]
    same = set(ran[0]) & set(ran[1])
    found = []
    for number, row in enumerate(after.rounds[0]):
        for other, old in enumerate(before.rounds[0]):
            fits = all(row[key] == old[key] for key in ("batch_size", "threads"))
            if not fits or (same and row["runtime"] != old["runtime"]):
                continue
            ratios = [
                first[other]["p50_ms"] / second[number]["p50_ms"]
                for first, second in zip(before.rounds, after.rounds, strict=True)
            ]
            calmest = [
                min(round_[place]["p50_ms"] for round_ in side.rounds)
                for side, place in ((before, other), (after, number))
            ]
            found.append(
                {
                    "runtime": row["runtime"],
                    "from_runtime": old["runtime"],
                    "batch_size": row["batch_size"],
                    "threads": row["threads"],
                    "speedup": calmest[0] / calmest[1],
                    "low": min(ratios),
                    "high": max(ratios),
                }
            )
    return found
