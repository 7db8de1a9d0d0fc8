"""Generated characters: reproducibility, and properties of the images."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oraclezoo.data.glyphs import CHUNK, draw, generate
from oraclezoo.data.glyphs.exact import Draws
from oraclezoo.data.glyphs.forms import SAMPLES, arranged, oracle
from oraclezoo.data.glyphs.strokes import Character, Form, Stroke
from oraclezoo.errors import UsageError

CLASSES = 10


def digest(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> str:
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def many() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    return generate([200] * CLASSES, 3)


def test_another_process_makes_the_same_images() -> None:
    """A seed gives the same bytes in a new process, across chunks."""
    counts = [60] * CLASSES
    assert sum(counts) > CHUNK
    program = (
        "import hashlib; from oraclezoo.data.glyphs import generate;"
        f"x, y = generate({counts}, 11);"
        "print(hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest())"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert completed.stdout.strip() == digest(*generate(counts, 11))


def test_seeds_and_versions_give_different_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed decides images and order; so does the version."""
    counts = [3] * CLASSES
    first, again, other = (generate(counts, seed) for seed in (0, 0, 1))
    assert digest(*first) == digest(*again)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])
    monkeypatch.setattr(draw, "VERSION", "another")
    assert digest(*generate(counts, 0)) != digest(*first)


@settings(max_examples=15, deadline=None)
@given(
    counts=st.lists(st.integers(0, 4), min_size=CLASSES, max_size=CLASSES),
    seed=st.integers(0, 2**64),
)
def test_counts_shapes_and_types(counts: list[int], seed: int) -> None:
    """The requested counts, zeros included, as uint8 images and int64 labels."""
    images, labels = generate(counts, seed)
    assert images.shape == (sum(counts), 28, 28)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert np.bincount(labels, minlength=CLASSES).tolist() == counts


def test_numpy_counts_are_as_good_as_python_ones() -> None:
    """Counts from an array and from a list are equivalent."""
    counts = np.arange(CLASSES)
    assert digest(*generate(counts, 0)) == digest(*generate(counts.tolist(), 0))  # type: ignore[arg-type]  # an array is no Sequence to mypy, but behaves as one


@pytest.mark.parametrize(
    ("counts", "seed"),
    [
        ([1] * 9, 0),
        ([1] * 11, 0),
        ([], 0),
        ([-1] * 10, 0),
        ([1.5] * 10, 0),
        (["1"] * 10, 0),
        (None, 0),
        ([1] * 10, -1),
        ([1] * 10, "0"),
    ],
)
def test_bad_counts_and_seeds_are_refused(counts: object, seed: object) -> None:
    """Counts and seed must be non-negative integers; anything else is a one-line UsageError."""
    with pytest.raises(UsageError, match="10 class counts and a seed") as caught:
        generate(counts, seed)  # type: ignore[arg-type]  # wrong types are what is tested
    assert "\n" not in str(caught.value)


def test_the_order_is_mixed(many: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]) -> None:
    """Any part of the order contains all classes."""
    _, labels = many
    for start in range(0, len(labels), 200):
        assert len(set(labels[start : start + 200].tolist())) == CLASSES


def test_every_image_has_ink_on_a_ground(
    many: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]],
) -> None:
    """Strokes are bright on a darker background, and no two images are equal."""
    images, labels = many
    spread = images.astype(float).std((1, 2))
    assert spread.min() > 5
    for label in range(CLASSES):
        own = images[labels == label]
        top = np.percentile(own.reshape(len(own), -1), 97, axis=1)
        assert np.median(top) > 140
        assert 20 < own.mean() < 130
    assert len({image.tobytes() for image in images}) == len(images)


def test_images_are_framed_as_the_real_ones(
    many: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]],
) -> None:
    """The box reaches the edge one way and is centered between black bars the other way.

    A tall character (arrow) has bars left and right; a field has a box nearly square.
    """
    images, labels = many
    lit = images.max((0,)) > 0
    assert lit.all()  # over all images, every pixel is used
    wide = (images > 0).any(1).sum(1)  # columns with anything in them
    tall = (images > 0).any(2).sum(1)
    assert np.median(np.maximum(wide, tall)) == 28
    assert np.median(wide[labels == 7]) < 20 < np.median(tall[labels == 7])
    assert np.median(wide[labels == 5]) >= 24
    bars = images[wide < 22]
    left = (bars > 0).any(1).argmax(1)
    right = (bars > 0).any(1)[:, ::-1].argmax(1)
    assert np.median(np.abs(left - right)) == 0


def test_a_linear_classifier_tells_the_classes_apart(
    many: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]],
) -> None:
    """Ridge regression on pixels, fitted to one seed, reads another far better than chance (10%).

    Labels that were mixed up, or forms that were lost in noise, would bring it near chance.
    """
    images, labels = many
    fresh, truth = generate([50] * CLASSES, 4)

    def features(x: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        flat = x.reshape(len(x), 14, 2, 14, 2).mean((2, 4)).reshape(len(x), -1) / 255
        return np.column_stack([flat, np.ones(len(x))])

    a, b = features(images), features(fresh)
    weights = np.linalg.solve(a.T @ a + 100 * np.eye(a.shape[1]), a.T @ np.eye(CLASSES)[labels])
    actual = (b @ weights).argmax(1)
    assert (actual == truth).mean() > 0.3
    shuffled = np.random.default_rng(0).permutation(labels)
    weights = np.linalg.solve(a.T @ a + 100 * np.eye(a.shape[1]), a.T @ np.eye(CLASSES)[shuffled])
    assert ((b @ weights).argmax(1) == truth).mean() < 0.25


def test_mirrored_forms_occur(
    many: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]],
) -> None:
    """The heavier half of moons is on either side in many images."""
    images, labels = many
    moons = images[labels == 2].astype(float)
    clean = moons[np.percentile(moons, 30, axis=(1, 2)) < 40]
    pull = (clean * (np.arange(28) - 13.5)).sum((1, 2)) / clean.sum((1, 2))
    assert (pull > 0.2).sum() > 10
    assert (pull < -0.2).sum() > 10


def test_every_form_is_a_weighting_of_its_control_points() -> None:
    """The weights of each sample sum to 1, and points stay near the unit box."""
    known = arranged(oracle())
    assert np.bincount(known.label, minlength=CLASSES).min() >= 3
    np.testing.assert_allclose(known.weight.sum(2), 1, atol=1e-12)
    row = np.arange(len(known.label))[:, None, None]
    points = (known.control[row, known.neighbor] * known.weight[..., None]).sum(2)
    assert points.shape == (len(known.label), SAMPLES, 2)
    assert points.min() > -0.2
    assert points.max() < 1.2
    np.testing.assert_allclose(np.bincount(known.label, weights=known.share), 1, atol=1e-12)


def test_samples_walk_along_straight_strokes() -> None:
    """Samples are evenly spaced, in proportion to the length of the strokes."""
    form = Form(
        (
            Stroke("line", ((0.0, 0.0), (1.0, 0.0))),
            Stroke("line", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))),
        ),
        aspect=1.0,
    )
    known = arranged((Character("a", (form,)), Character("b", (form,))))
    points = (known.control[0][known.neighbor[0]] * known.weight[0][..., None]).sum(1)
    assert np.bincount(known.stroke[0]).tolist() == [SAMPLES // 4, SAMPLES * 3 // 4]
    first, second = points[: SAMPLES // 4], points[SAMPLES // 4 :]
    np.testing.assert_allclose(first[:, 0], np.linspace(0, 1, len(first)), atol=1e-12)
    np.testing.assert_allclose(second[[0, -1]], [[0, 0], [0, 1]], atol=1e-12)
    steps = np.hypot(*np.diff(second, axis=0).T)
    np.testing.assert_allclose(np.median(steps), 3 / (len(second) - 1), rtol=1e-9)


def test_all_forms_are_drawn() -> None:
    """Each form is drawn about as often as its share says."""
    known = arranged(oracle())
    labels = np.repeat(np.arange(CLASSES), 2000)
    drawing = draw._choose(Draws(0, "choose"), known, labels)
    assert np.array_equal(known.label[drawing], labels)
    seen = np.bincount(drawing, minlength=len(known.label)) / 2000
    np.testing.assert_allclose(seen, known.share, atol=0.05)


def test_stroke_depth_is_one_on_the_line_and_half_at_half_a_width() -> None:
    """Away from its ends a straight stroke has depth exp(-d^2 / 2 sigma^2) at distance d."""
    y = np.linspace(2, 25, SAMPLES)
    places = np.stack([np.full_like(y, 14), y], axis=1)[None]
    sigma = np.full((1, 1), 1.5)
    depth = draw._centre_lines(places, sigma, np.ones((1, SAMPLES)))[0]
    expected = np.exp(-((np.arange(28) - 14.0) ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose(depth[13], expected, atol=0.01)


def test_characters_of_ones_own_are_drawn() -> None:
    """Labels follow the order of the characters passed."""
    bar = Form((Stroke("line", ((0.5, 0.0), (0.5, 1.0))),), aspect=0.05)
    dash = Form((Stroke("line", ((0.0, 0.5), (1.0, 0.5))),), aspect=20.0)
    images, labels = generate([40, 60], 0, (Character("bar", (bar,)), Character("dash", (dash,))))
    assert np.bincount(labels).tolist() == [40, 60]
    lit = images > 0
    tall, wide = lit.any(2).sum(1), lit.any(1).sum(1)
    assert (tall[labels == 0] > wide[labels == 0]).mean() > 0.9
    assert (wide[labels == 1] > tall[labels == 1]).mean() > 0.9
    with pytest.raises(UsageError, match="2 class counts"):
        generate([1] * 3, 0, (Character("bar", (bar,)), Character("dash", (dash,))))
