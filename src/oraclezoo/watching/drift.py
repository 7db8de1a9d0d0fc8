"""Drift detection in a stream of predictions, with a bound on the false alarm rate.

Each signal of :mod:`oraclezoo.watching.signals` is tested by a martingale of
:mod:`oraclezoo.watching.martingale` against the model's baseline. With S signals, a signal raises
an alarm when its evidence reaches S / rate (Bonferroni), so the probability that a stream from the
baseline's distribution ever raises any alarm is at most ``rate``. Images are kept only until their
batch of ``BUFFER`` images is evaluated; afterwards only counts remain.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from oraclezoo.card import Card
from oraclezoo.card.baseline import VERSION, Baseline
from oraclezoo.errors import UsageError, command_line, nearest
from oraclezoo.watching.martingale import Martingales
from oraclezoo.watching.metrics import CLASSES, SIGNALS
from oraclezoo.watching.signals import BINS, Observations, binned, counted, histograms

BUFFER = 16
"""Number of images that are evaluated together; an alarm is delayed by up to as many images."""

MIN_ADOPTED = 100
"""Minimum number of images in a stream that can become the baseline."""

_log = logging.getLogger("oraclezoo.drift")


@dataclass(frozen=True, slots=True)
class DriftOptions:
    """Settings for monitoring a stream.

    Attributes:
        rate: Maximum probability that a stream without drift ever raises an alarm, in (0, 1).
        classes: Whether to test the shares of the predicted classes.
        shares: Expected share of each class among the predictions, by class name; None takes the
            shares of the baseline.
        seed: Seed of the random numbers that break ties; by default it differs for each monitor.
    """

    rate: float = 0.01
    classes: bool = True
    shares: Mapping[str, float] | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise UsageError(f"the rate of false alarms is {self.rate:g}; it must be in (0, 1)")


@dataclass(frozen=True, slots=True)
class SignalState:
    """State of one signal.

    ``evidence`` is the maximum of its martingale so far: 1 is no evidence, and without drift the
    probability that it ever reaches 1/a is at most a. ``drifted_at`` is the number of images seen
    when the alarm was raised, or None.
    """

    name: str
    summary: str
    evidence: float
    drifted_at: int | None


@dataclass(frozen=True, slots=True)
class DriftState:
    """State of a monitored stream.

    ``images`` is the number of images since ``since`` (UTC, ISO 8601). A signal's alarm is raised
    when its evidence reaches ``threshold``. ``expected`` and ``observed`` hold the share of each
    class in the baseline and among the predictions, by name.
    """

    drifted: bool
    images: int
    since: str
    rate: float
    threshold: float
    baseline: Mapping[str, str | int | bool]
    signals: tuple[SignalState, ...]
    expected: Mapping[str, float]
    observed: Mapping[str, float]


class DriftMonitor:
    """Monitors the predictions of one model; safe to use from several threads.

    Args:
        name: Name of the model in the log.
        baseline: Its baseline.
        classes: Names of its classes.
        options: Settings of the monitor.

    Raises:
        UsageError: The expected shares do not fit the classes.

    Example:
        >>> import numpy as np
        >>> from oraclezoo.watching.drift import DriftMonitor
        >>> from oraclezoo.watching.signals import Observations
        >>> rng = np.random.default_rng(0)
        >>> def batch(number, brightest):
        ...     images = rng.integers(0, brightest, (number, 28, 28), dtype=np.uint8)
        ...     return Observations(images, rng.dirichlet([1, 1], number).astype(np.float32))
        >>> baseline = baseline_of(batch(200, 200), "glyphs", "validation", "0" * 64)
        >>> monitor = DriftMonitor("mine", baseline, ("a", "b"))
        >>> monitor.observe(batch(200, 200))
        >>> monitor.state().drifted
        False
        >>> monitor.observe(batch(200, 100))
        >>> monitor.state().drifted
        True
    """

    def __init__(
        self,
        name: str,
        baseline: Baseline,
        classes: Sequence[str],
        options: DriftOptions | None = None,
    ) -> None:
        self.name, self.options = name, options or DriftOptions()
        self.classes = tuple(classes)
        self._shares = _declared(self.options.shares, self.classes)
        self._lock = threading.Lock()
        self._start(baseline)

    def _start(self, baseline: Baseline) -> None:
        self.baseline = baseline
        self._names = [
            name
            for name in SIGNALS
            if name in baseline.counts and (name != CLASSES or self.options.classes)
        ]
        counts = np.zeros((len(self._names), BINS))
        known = [name == CLASSES and self._shares is not None for name in self._names]
        for row, name in enumerate(self._names):
            values = self._shares if known[row] else baseline.counts[name]
            folded = np.arange(len(values or ())) % BINS
            np.add.at(counts[row], folded, np.asarray(values, np.float64))
        self._test = Martingales(counts, known, self.options.seed)
        self._drifted: dict[str, int] = {}
        self._buffer: list[Observations] = []
        self._buffered = 0
        self._stream: dict[str, npt.NDArray[np.int64]] = {}
        self._since = datetime.now(UTC).isoformat(timespec="seconds")

    @property
    def threshold(self) -> float:
        """Return the evidence at which a signal raises an alarm."""
        return len(self._names) / self.options.rate

    def observe(self, batch: Observations) -> None:
        """Add the next predictions of the stream."""
        with self._lock:
            self._buffer.append(batch)
            self._buffered += len(batch)
            if self._buffered >= BUFFER:
                self._evaluate()

    def state(self) -> DriftState:
        """Return the state after all predictions so far."""
        with self._lock:
            self._evaluate()
            test, baseline = self._test, self.baseline
            expected = self._shares or _shares(baseline.counts.get(CLASSES, ()))
            observed = _shares(self._stream[CLASSES].tolist() if self._stream else ())
            return DriftState(
                drifted=bool(self._drifted),
                images=test.seen,
                since=self._since,
                rate=self.options.rate,
                threshold=self.threshold,
                baseline={
                    "track": baseline.track,
                    "split": baseline.split,
                    "images": baseline.images,
                    "by_a_twin": baseline.by_a_twin,
                },
                signals=tuple(
                    SignalState(name, SIGNALS[name], float(peak), self._drifted.get(name))
                    for name, peak in zip(self._names, test.peak, strict=True)
                ),
                expected=dict(zip(self.classes, expected, strict=False)),
                observed=dict(zip(self.classes, observed, strict=False)),
            )

    def reset(self, *, adopt: bool = False) -> None:
        """Restart: discard the stream and its alarms.

        Args:
            adopt: Use the stream since the last restart as the baseline until the process ends.

        Raises:
            UsageError: The stream is too short to become the baseline.
        """
        with self._lock:
            self._evaluate()
            baseline = self.baseline
            if adopt:
                seen = self._test.seen
                if seen < MIN_ADOPTED:
                    raise UsageError(
                        f"{seen} images so far; a baseline takes at least {MIN_ADOPTED}"
                    )
                counts = {name: tuple(part.tolist()) for name, part in self._stream.items()}
                baseline = replace(
                    baseline,
                    track="stream",
                    split="served",
                    images=seen,
                    by_a_twin=False,
                    counts=counts,
                )
            self._start(baseline)

    def _evaluate(self) -> None:
        """Evaluate the buffered predictions. The caller holds the lock."""
        if not self._buffer:
            return
        batch, self._buffer, self._buffered = _joined(self._buffer), [], 0
        bins = binned(batch)
        for name, counts in counted(bins, len(self.classes)).items():
            self._stream[name] = self._stream.get(name, 0) + counts
        self._test.take(np.stack([bins[name] % BINS for name in self._names], 1))
        for row in np.flatnonzero(self._test.peak >= self.threshold):
            name = self._names[row]
            if name not in self._drifted:
                self._drifted[name] = self._test.seen
                _log.warning(
                    "%s: drift in %s (%s) after %d images; evidence %.3g, alarm at %.3g",
                    *(self.name, name, SIGNALS[name], self._test.seen),
                    *(self._test.peak[row], self.threshold),
                )


def baseline_of(
    batch: Observations, track: str, split: str, onnx_sha256: str, *, by_a_twin: bool = False
) -> Baseline:
    """Return the baseline of a model from its predictions for in-distribution images.

    Args:
        batch: Predictions for images that neither the model nor, with ``by_a_twin``, its twin was
            trained on.
        track: Name of the data set.
        split: Name of the split.
        onnx_sha256: SHA-256 (hex) of the model's ONNX file.
        by_a_twin: Whether a second model made the predictions.
    """
    return Baseline(
        version=VERSION,
        track=track,
        split=split,
        images=len(batch),
        by_a_twin=by_a_twin,
        onnx_sha256=onnx_sha256,
        counts=histograms(batch),
    )


def why_not(card: Card, model: str) -> str:
    """Return why a model cannot be monitored and how to fix that, or "" if it can.

    ``model`` is the model's folder or name.
    """
    remedy = f"run {command_line('oraclezoo', 'calibrate', model)} and serve the result"
    if card.baseline is None:
        return f"{model} has no baseline for drift detection; {remedy}"
    if card.onnx is None or card.baseline.onnx_sha256 != card.onnx.sha256:
        return f"the baseline of {model} belongs to another ONNX file; {remedy}"
    if card.baseline.version != VERSION:
        return (
            f"the baseline of {model} has version {card.baseline.version}, "
            f"this oraclezoo reads {VERSION}; {remedy}"
        )
    return ""


def parse_shares(text: str, classes: Sequence[str]) -> Mapping[str, float]:
    """Parse expected class shares such as ``big=0.2,sun=0.1``.

    Classes that are not named divide the rest equally. If all classes are named, the numbers are
    scaled to sum to 1.

    Raises:
        UsageError: An entry is malformed or names an unknown class.
    """
    shares: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = entry.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not name or not 0 < share < math.inf:
            raise UsageError(f"'{entry}': write class shares as NAME=NUMBER,..., positive numbers")
        if name not in classes:
            raise UsageError(f"no class is named '{name}'{nearest(name, classes)}")
        shares[name] = share
    rest = [name for name in classes if name not in shares]
    left = 1 - sum(shares.values())
    if rest and left <= 0:
        raise UsageError(
            f"the class shares sum to {1 - left:g}, so nothing is left for "
            f"{', '.join(rest[:5])}\n"
            "Write fractions that sum to less than 1, or name every class."
        )
    shares |= {name: left / len(rest) for name in rest}
    total = sum(shares.values())
    return {name: shares[name] / total for name in classes}


def _declared(
    shares: Mapping[str, float] | None, classes: Sequence[str]
) -> tuple[float, ...] | None:
    """Return the expected shares in class order. Raises UsageError."""
    if shares is None:
        return None
    if set(shares) != set(classes) or not all(0 < share <= 1 for share in shares.values()):
        raise UsageError("expected class shares: give each class a share above 0")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UsageError(f"expected class shares sum to {sum(shares.values()):g}, not 1")
    return tuple(shares[name] for name in classes)


def _shares(counts: Sequence[int]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(float(count / total) for count in counts) if total else ()


def _joined(batches: list[Observations]) -> Observations:
    if len(batches) == 1:
        return batches[0]
    unknown = [batch.unknown for batch in batches if batch.unknown is not None]
    return Observations(
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.probabilities for batch in batches]),
        np.concatenate(unknown) if unknown else None,
    )
