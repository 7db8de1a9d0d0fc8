"""Verdicts of reproductions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats as scipy_stats

from oraclezoo.ranking.predictions import Predictions
from oraclezoo.ranking.reproduction.verdict import (
    LEVEL,
    TOLERANCE,
    Figures,
    answers_p,
    figures,
    limit_of,
    verdict,
)

CLASSES, IMAGES = 5, 400


def trainings(
    rng: np.random.Generator, hard: npt.NDArray[np.float64], seeds: int = 5, skill: float = 2.0
) -> Predictions:
    """Return predictions of one process, with independent errors.

    Images differ in difficulty, and a misclassified image mostly gets the same wrong class.
    """
    labels = np.arange(IMAGES) % CLASSES
    level = skill + 0.1 * rng.standard_normal((seeds, 1))
    right = rng.random((seeds, IMAGES)) < 1 / (1 + np.exp(-(level - hard)))
    wrong = (labels + 1 + (rng.random((seeds, IMAGES)) < 0.2)) % CLASSES
    answer = np.where(right, labels, wrong)
    kept = np.where(np.arange(CLASSES) == answer[..., None], 0.8, 0.05).astype(np.float16)
    return Predictions(kept, labels)


def judge(stated: Predictions, found: Predictions) -> tuple[str, Figures]:
    numbers = figures(stated, found, stated.correct.mean(1))
    return verdict(numbers)[0], numbers


@pytest.fixture
def hard() -> npt.NDArray[np.float64]:
    """Return the difficulty of each image."""
    return 2 * np.random.default_rng(5).standard_normal(IMAGES)


def test_equal_answers_are_the_same(hard: npt.NDArray[np.float64]) -> None:
    """Identical predictions, and predictions of which only the probabilities changed."""
    stated = trainings(np.random.default_rng(0), hard)
    assert judge(stated, stated)[0] == "same"
    moved = (0.9 * stated.probabilities.astype(float) + 0.1 / CLASSES).astype(np.float16)
    assert judge(stated, Predictions(moved, stated.labels))[0] == "same"


def test_answers_that_flip_between_near_equals_are_the_same() -> None:
    """Changes within the tolerance are the same; beyond it, the tests decide."""
    labels = np.zeros(10, dtype=np.int64)
    for gap, expected in ((TOLERANCE / 4, "same"), (2 * TOLERANCE, "differs")):
        first = np.tile([0.5 + gap / 2, 0.5 - gap / 2], (1, 10, 1)).astype(np.float16)
        assert (
            judge(Predictions(first, labels), Predictions(first[..., ::-1], labels))[0] == expected
        )


def test_another_run_of_the_same_process_is_within_its_spread(
    hard: npt.NDArray[np.float64],
) -> None:
    """Each of three tests rejects an honest reproduction at most once in 100."""
    rng = np.random.default_rng(1)
    outcomes = [judge(trainings(rng, hard), trainings(rng, hard))[0] for _ in range(200)]
    assert "same" not in outcomes
    assert outcomes.count("differs") <= 12  # of 6 to be feared; more than 12 has p < 0.01


def test_a_raised_accuracy_differs(hard: npt.NDArray[np.float64]) -> None:
    """Corrected predictions in every seed of the original are detected."""
    rng = np.random.default_rng(2)
    actual, stated = trainings(rng, hard), trainings(rng, hard)
    edited = stated.probabilities.copy()
    for seed in range(5):
        missed = np.flatnonzero(~stated.correct[seed])[:25]
        edited[seed, missed] = np.where(
            np.arange(CLASSES) == stated.labels[missed, None], 0.8, 0.05
        ).astype(np.float16)
    outcome, numbers = judge(Predictions(edited, stated.labels), actual)
    assert outcome == "differs"
    assert numbers.difference < -0.04
    assert "accuracy differs" in " ".join(verdict(numbers)[1])


def test_invented_predictions_of_the_right_accuracy_differ(hard: npt.NDArray[np.float64]) -> None:
    """The permutation test detects predictions fabricated to match an accuracy."""
    rng = np.random.default_rng(3)
    actual = trainings(rng, hard)
    labels = actual.labels
    share = actual.correct.mean()
    right = np.zeros((5, IMAGES), dtype=bool)
    for seed in range(5):  # the very accuracy, on any images
        right[seed, rng.permutation(IMAGES)[: round(share * IMAGES)]] = True
    answer = np.where(right, labels, (labels + 1) % CLASSES)
    kept = np.where(np.arange(CLASSES) == answer[..., None], 0.8, 0.05).astype(np.float16)
    numbers = figures(Predictions(kept, labels), actual, [0.74, 0.75, 0.76, 0.75, 0.74])
    assert abs(numbers.difference) < 0.02
    assert numbers.answers_p == pytest.approx(1 / 126)
    assert verdict(numbers)[0] == "differs"
    assert "differ more than training runs" in " ".join(verdict(numbers)[1])


def test_the_limit_is_a_prediction_limit() -> None:
    """t(0.995; S - 1) s sqrt(2 / k); drawn from one normal process it is passed 1 time in 100."""
    assert limit_of([0.9, 0.92], 2) == pytest.approx(
        scipy_stats.t.ppf(0.995, 1) * np.std([0.9, 0.92], ddof=1)
    )
    assert limit_of([0.9], 5) is None
    assert limit_of([0.9] * 5, 5, least=0.01) == 0.01
    draws = np.random.default_rng(4).standard_normal((4000, 2, 5))
    passed = [abs(a.mean() - b.mean()) > (limit_of(a, 5) or 0) for a, b in draws]
    assert np.mean(passed) == pytest.approx(LEVEL, abs=0.005)


def test_one_seed_is_the_same_or_differs() -> None:
    """A result of one seed has no spread."""
    rng = np.random.default_rng(6)
    easy = np.zeros(IMAGES)
    outcome, numbers = judge(trainings(rng, easy, 1), trainings(rng, easy, 1))
    assert numbers.limit is None
    assert numbers.answers_p is None
    assert outcome == "differs"
    assert "no spread" in verdict(numbers)[1][0]


def test_some_seeds_are_held_against_the_spread_of_all() -> None:
    """Two reproduced seeds use the standard deviation of all five."""
    rng = np.random.default_rng(7)
    easy = np.zeros(IMAGES)
    stated, actual = trainings(rng, easy), trainings(rng, easy, 2)
    part = Predictions(stated.probabilities[:2], stated.labels)
    numbers = figures(part, actual, stated.correct.mean(1))
    assert numbers.limit == limit_of(stated.correct.mean(1), 2, 1 / IMAGES)
    assert verdict(numbers)[0] == "within spread"


def test_corrupted_accuracy_has_a_limit_of_its_own() -> None:
    """Beyond the limit the result differs even if everything else is equal."""
    rng = np.random.default_rng(8)
    easy = np.zeros(IMAGES)
    stated, actual = trainings(rng, easy), trainings(rng, easy)
    every = [0.50, 0.51, 0.49, 0.50, 0.50]
    for shift, expected in ((0.0, "within spread"), (0.1, "differs")):
        numbers = figures(
            stated, actual, stated.correct.mean(1), (every, np.add(every, shift), every)
        )
        assert verdict(numbers)[0] == expected


def test_the_permutation_test_is_exact_and_keeps_its_level() -> None:
    """With five seeds, p is a multiple of 1/126 and is at most 1% about that often."""
    rng = np.random.default_rng(9)
    p = np.array([
        answers_p(*rng.integers(0, 3, (2, 5, 60))) for _ in range(400)
    ])  # fmt: skip
    assert np.allclose(p * 126, np.round(p * 126))
    assert (p <= 0.1).mean() == pytest.approx(0.1, abs=0.045)
    assert (p < LEVEL).mean() < 0.03


def test_many_seeds_are_permuted_at_random_from_a_fixed_seed() -> None:
    """Beyond 10,000 splits, p is reproducible and a planted change is detected."""
    rng = np.random.default_rng(10)
    a, b = rng.integers(0, 3, (2, 10, 50))
    assert answers_p(a, b) == answers_p(a, b) > LEVEL
    b[:, :20] = 0
    assert answers_p(a, b) < 0.001
