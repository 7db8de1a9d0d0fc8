"""Sections of the benchmark on drift detection, without a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _measured import Figures
from scipy.stats import beta

import oraclezoo as oz
from oraclezoo.card.baseline import Baseline
from oraclezoo.data.corrupt import CORRUPTIONS, corrupt
from oraclezoo.serving.predictor import Predictor
from oraclezoo.watching.drift import BUFFER, DriftMonitor, DriftOptions, baseline_of
from oraclezoo.watching.signals import Observations

TRACK = "oracle-mnist-3k"
SEVERITY = 3
ORDERS = 20
"""Random orders of the images of each corruption."""
LIMIT = 200
"""Images within which a corruption must be flagged."""
SHIPPED_STREAMS = 200


@dataclass(frozen=True)
class Pool:
    """Predictions for the validation and the test images of the track."""

    validation: Observations
    test: Observations
    predictor: Predictor

    @classmethod
    def of(cls, folder: Path, data_dir: Path) -> Pool:
        """Return the predictions of the model in a folder."""
        dataset = oz.registry().create("dataset", TRACK, data_dir=data_dir)
        predictor = Predictor(folder)
        validation, test = (
            predictions(predictor, np.asarray(dataset.split(name).images))
            for name in ("validation", "test")
        )
        return cls(validation, test, predictor)

    def monitor(self, baseline: Baseline, rate: float, seed: int) -> DriftMonitor:
        """Return a monitor of the model."""
        options = DriftOptions(rate=rate, seed=seed)
        return DriftMonitor("model", baseline, self.predictor.classes, options)


def predictions(predictor: Predictor, images: npt.NDArray[np.uint8]) -> Observations:
    """Return what the server observes for prepared images."""
    result = predictor.predict(images)
    return Observations(images, result.probabilities, result.unknown_score)


def chosen(batch: Observations, rows: npt.NDArray[np.int64]) -> Observations:
    """Return some predictions, in an order."""
    unknown = None if batch.unknown is None else batch.unknown[rows]
    return Observations(batch.images[rows], batch.probabilities[rows], unknown)


def joined(one: Observations, other: Observations) -> Observations:
    """Return the predictions of both."""
    unknown = None
    if one.unknown is not None and other.unknown is not None:
        unknown = np.concatenate([one.unknown, other.unknown])
    return Observations(
        np.concatenate([one.images, other.images]),
        np.concatenate([one.probabilities, other.probabilities]),
        unknown,
    )


def false_alarms(pool: Pool, rate: float, streams: int, length: int) -> Figures:
    """Return the share of clean streams with an alarm.

    Each stream divides the validation and test images anew into a baseline and a stream, so that
    both come from one distribution.
    """
    whole = joined(pool.validation, pool.test)
    size = len(pool.validation)
    alarms = 0
    for seed in range(streams):
        order = np.random.default_rng(seed).permutation(len(whole))
        baseline = baseline_of(chosen(whole, order[:size]), TRACK, "divided", "0" * 64)
        monitor = pool.monitor(baseline, rate, seed)
        monitor.observe(chosen(whole, order[size : size + length]))
        alarms += monitor.state().drifted
    return {"rate": rate, "length": length, "baseline": size, **_share(alarms, streams)}


def shipped_alarms(pool: Pool, rate: float) -> Figures | None:
    """Return the share of random orders of the test images with an alarm, by the card's baseline.

    All orders have the same images and baseline, so an unlucky split shows in all of them.
    """
    baseline = pool.predictor.card.baseline
    if baseline is None:
        return None
    alarms, signals = 0, dict[str, int]()
    for seed in range(SHIPPED_STREAMS):
        order = np.random.default_rng(seed).permutation(len(pool.test))
        monitor = pool.monitor(baseline, rate, seed)
        monitor.observe(chosen(pool.test, order))
        state = monitor.state()
        alarms += state.drifted
        for signal in state.signals:
            if signal.drifted_at is not None:
                signals[signal.name] = signals.get(signal.name, 0) + 1
    about = {"rate": rate, "length": len(pool.test), "signals": signals}
    return {**about, **_share(alarms, SHIPPED_STREAMS)}


def _share(alarms: int, streams: int) -> Figures:
    """Return a share with its one-sided 95% upper limit (Clopper and Pearson)."""
    upper = 1.0 if alarms == streams else float(beta.ppf(0.95, alarms + 1, streams - alarms))
    return {
        "streams": streams,
        "alarms": alarms,
        "share": alarms / streams,
        "upper_95": round(upper, 4),
    }


def detection(pool: Pool, rate: float) -> list[Figures]:
    """Return after how many corrupted test images each corruption is flagged.

    The baseline is the one in the card, or that of the validation images for a card without one.
    """
    known = pool.predictor.card.baseline
    baseline = known or baseline_of(pool.validation, TRACK, "validation", "0" * 64)
    rows = []
    for name in CORRUPTIONS:
        batch = predictions(pool.predictor, corrupt(pool.test.images, name, SEVERITY))
        flagged = [flagged_at(pool, baseline, batch, rate, seed) for seed in range(ORDERS)]
        found = [each for each, _ in flagged if each is not None]
        signals = [signal for _, signal in flagged if signal]
        rows.append(
            {
                "corruption": name,
                "severity": SEVERITY,
                "orders": ORDERS,
                "flagged": len(found),
                "median_images": float(np.median(found)) if found else None,
                "max_images": max(found) if len(found) == ORDERS else None,
                "first_signals": {s: signals.count(s) for s in sorted(set(signals))},
            }
        )
    return rows


def flagged_at(
    pool: Pool, baseline: Baseline, batch: Observations, rate: float, seed: int
) -> tuple[int | None, str]:
    """Return after how many images a monitor raises an alarm, at most ``LIMIT``, and its signal."""
    order = np.random.default_rng(seed).permutation(len(batch))[:LIMIT]
    monitor = pool.monitor(baseline, rate, seed)
    for start in range(0, LIMIT, BUFFER):
        monitor.observe(chosen(batch, order[start : start + BUFFER]))
        state = monitor.state()
        if state.drifted:
            first = max(state.signals, key=lambda s: (s.drifted_at is not None, s.evidence))
            return state.images, first.name
    return None, ""
