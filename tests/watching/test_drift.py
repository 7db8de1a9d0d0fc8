"""Drift of served predictions."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import numpy as np
import pytest

from oraclezoo.card import Backbone, Card, InputShape, OnnxEntry, Preprocessing
from oraclezoo.card.baseline import Baseline
from oraclezoo.data.corrupt import CORRUPTIONS, corrupt
from oraclezoo.data.glyphs.draw import generate
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.watching.drift import (
    BUFFER,
    MIN_ADOPTED,
    DriftMonitor,
    DriftOptions,
    baseline_of,
    parse_shares,
    why_not,
)
from oraclezoo.watching.metrics import CLASSES, SIGNALS
from oraclezoo.watching.signals import BINS, Observations, binned, histograms

DIGEST = "0" * 64
NAMES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def stream() -> Observations:
    """Return generated characters with made-up probabilities that fit their labels."""
    return predicted(*generate([60] * 10, 5))


def predicted(images: np.ndarray, labels: np.ndarray) -> Observations:
    random = np.random.default_rng(len(images))
    probabilities = random.dirichlet([0.2] * 10, len(images)).astype(np.float32)
    probabilities[np.arange(len(images)), labels] += 3
    return Observations(images, probabilities / probabilities.sum(1, keepdims=True))


def part(batch: Observations, rows: slice | np.ndarray) -> Observations:
    return Observations(batch.images[rows], batch.probabilities[rows])


@pytest.fixture
def baseline(stream: Observations) -> Baseline:
    return baseline_of(part(stream, slice(0, 200)), "glyphs", "validation", DIGEST)


def monitor(baseline: Baseline, **options: object) -> DriftMonitor:
    return DriftMonitor("mine", baseline, NAMES, DriftOptions(seed=0, **options))  # type: ignore[arg-type]  # by name


def test_a_clean_stream_raises_no_alarm(stream: Observations, baseline: Baseline) -> None:
    """The state counts images and names the baseline."""
    watched = monitor(baseline)
    watched.observe(part(stream, slice(200, 600)))
    state = watched.state()
    assert not state.drifted
    assert state.images == 400
    assert state.threshold == pytest.approx(len(state.signals) / 0.01)
    assert state.baseline == {
        "track": "glyphs",
        "split": "validation",
        "images": 200,
        "by_a_twin": False,
    }
    assert [signal.name for signal in state.signals] == [n for n in SIGNALS if n != "unknown"]
    assert sum(state.expected.values()) == pytest.approx(1)
    assert list(state.observed) == list(NAMES)


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_every_corruption_is_flagged_within_200_images(
    name: str, stream: Observations, baseline: Baseline
) -> None:
    """At severity 3, by features of the images alone."""
    clean = part(stream, slice(200, 400))
    watched = monitor(baseline)
    watched.observe(Observations(corrupt(clean.images, name, 3), clean.probabilities))
    assert watched.state().drifted


def test_an_alarm_names_its_signal_in_the_log(
    stream: Observations, baseline: Baseline, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, and it stays until a reset."""
    watched = monitor(baseline)
    sure = part(stream, slice(200, 400))
    doubtful = Observations(sure.images, (sure.probabilities + 0.15) / 2.5)
    with caplog.at_level(logging.WARNING, "oraclezoo"):
        watched.observe(doubtful)
        watched.observe(doubtful)
        state = watched.state()
    (signal,) = [signal for signal in state.signals if signal.drifted_at is not None]
    assert signal.name == "confidence"
    assert signal.evidence >= state.threshold
    assert len(caplog.records) == 1
    assert "mine: drift in confidence" in caplog.text
    watched.reset()
    assert watched.state().images == 0
    assert not watched.state().drifted


def test_shares_of_classes_can_be_declared(stream: Observations, baseline: Baseline) -> None:
    """A stream of other shares than declared drifts, and the baseline's shares are not used."""
    rows = np.flatnonzero(stream.probabilities.argmax(1) < 3)
    few = part(stream, rows[rows >= 200][:110])
    by_baseline = monitor(baseline)
    by_baseline.observe(few)
    assert drifted(by_baseline) == ["classes"]
    declared = monitor(baseline, shares=parse_shares("a=0.33,b=0.33,c=0.33", NAMES))
    declared.observe(few)
    assert drifted(declared) == []
    assert declared.state().expected["a"] == pytest.approx(0.33)
    ignored = monitor(baseline, classes=False)
    ignored.observe(few)
    assert drifted(ignored) == []
    assert "classes" not in [signal.name for signal in ignored.state().signals]


def drifted(watched: DriftMonitor) -> list[str]:
    return [each.name for each in watched.state().signals if each.drifted_at is not None]


def test_a_stream_can_become_the_baseline(stream: Observations, baseline: Baseline) -> None:
    """What drifted before is then what is expected."""
    blurred = corrupt(stream.images, "blur", 3)
    other = Observations(blurred, stream.probabilities)
    watched = monitor(baseline)
    watched.observe(part(other, slice(0, 50)))
    with pytest.raises(UsageError, match=f"50 images so far.*at least {MIN_ADOPTED}"):
        watched.reset(adopt=True)
    watched.observe(part(other, slice(50, 300)))
    assert watched.state().drifted
    watched.reset(adopt=True)
    watched.observe(part(other, slice(300, 600)))
    assert not watched.state().drifted
    assert watched.state().baseline["images"] == 300


def test_images_do_not_outlive_their_batch(stream: Observations, baseline: Baseline) -> None:
    """At most one incomplete batch is in memory."""
    watched = monitor(baseline)
    for row in range(3 * BUFFER + 1):
        watched.observe(part(stream, slice(row, row + 1)))
    assert sum(map(len, watched._buffer)) == 1
    watched.state()
    assert watched._buffer == []


def test_threads_may_observe_at_once(stream: Observations, baseline: Baseline) -> None:
    """No image is lost or counted twice."""
    watched = monitor(baseline)

    def work() -> None:
        for row in range(200, 300):
            watched.observe(part(stream, slice(row, row + 1)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watched.state().images == 400


def test_the_score_of_unknown_characters_is_watched(stream: Observations) -> None:
    """If the model has the detector."""
    random = np.random.default_rng(0)

    def scored(rows: slice, top: float) -> Observations:
        known = part(stream, rows)
        score = random.uniform(0, top, len(known)).astype(np.float32)
        return replace(known, unknown=score)

    watched = monitor(baseline_of(scored(slice(0, 200), 0.5), "glyphs", "validation", DIGEST))
    watched.observe(scored(slice(200, 400), 1.0))
    assert drifted(watched) == ["unknown"]


def test_histograms_count_each_image_once_per_signal(stream: Observations) -> None:
    """Also values beyond the grid."""
    black = Observations(np.zeros((3, 28, 28), np.uint8), np.eye(10, dtype=np.float32)[:3])
    white = Observations(np.full((2, 28, 28), 255, np.uint8), np.eye(10, dtype=np.float32)[:2])
    for batch in (stream, black, white):
        for name, counts in histograms(batch).items():
            assert sum(counts) == len(batch)
            assert len(counts) == (10 if name == CLASSES else BINS)
    assert all(bins.min() >= 0 and bins.max() < BINS for bins in binned(stream).values())


def test_many_classes_share_bins() -> None:
    """More classes than bins do not fail."""
    probabilities = np.eye(200, dtype=np.float32)
    images = np.random.default_rng(0).integers(0, 255, (200, 28, 28), dtype=np.uint8)
    many = Observations(images, probabilities)
    names = [str(number) for number in range(200)]
    watched = DriftMonitor(
        "many", baseline_of(many, "mine", "validation", DIGEST), names, DriftOptions(seed=0)
    )
    watched.observe(part(many, np.random.default_rng(1).permutation(200)))
    assert not watched.state().drifted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "NAME=NUMBER"),
        ("a=x", "NAME=NUMBER"),
        ("a=0", "positive"),
        ("a=nan", "positive"),
        ("aa=0.5", "no class is named 'aa'"),
        ("a=0.6,b=0.6", "sum to 1.2, so nothing is left for c, d, e, f, g"),
    ],
)
def test_malformed_shares_are_refused(text: str, message: str) -> None:
    """The message quotes what is wrong."""
    with pytest.raises(UsageError, match=message):
        parse_shares(text, NAMES)


def test_shares_are_completed() -> None:
    """The rest is divided equally; a complete list is scaled."""
    assert parse_shares("a=0.1", NAMES)["j"] == pytest.approx(0.1)
    assert parse_shares("", ("x", "y")) == {"x": 0.5, "y": 0.5}
    assert parse_shares("x=3,y=1", ("x", "y")) == {"x": 0.75, "y": 0.25}


def test_a_rate_outside_of_its_range_is_refused() -> None:
    """A rate is a probability."""
    with pytest.raises(UsageError, match="rate of false alarms"):
        DriftOptions(rate=0)


def card(**changes: object) -> Card:
    plain = Card(
        backbone=Backbone("lenet", {}),
        input=InputShape(1, 10, 28),
        preprocessing=Preprocessing(0.2, 0.3),
        classes=NAMES,
        receipts=(),
        onnx=OnnxEntry("model.onnx", DIGEST, "fp32"),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # by name


def test_a_model_without_a_baseline_says_what_to_run(baseline: Baseline) -> None:
    """So does one whose ONNX file or version of signals changed since."""
    assert "run oraclezoo calibrate models/mine" in why_not(card(), "models/mine")
    other = replace(baseline, onnx_sha256="1" * 64)
    assert "another ONNX file" in why_not(card(baseline=other), "mine")
    assert "version 0" in why_not(card(baseline=replace(baseline, version=0)), "mine")
    assert why_not(card(baseline=baseline), "mine") == ""


def test_a_baseline_survives_the_card(baseline: Baseline) -> None:
    """A malformed one is an error that names it."""
    document = card(baseline=baseline).to_json()
    assert Card.from_json(document).baseline == baseline
    document["baseline"]["counts"]["ink"][0] += 1
    with pytest.raises(ResultError, match=r"baseline\.counts of ink"):
        Card.from_json(document)
