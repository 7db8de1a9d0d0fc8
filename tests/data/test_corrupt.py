"""Corruptions: reproducible, graded, and confined to the picture."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import drawn
from oraclezoo.data.corrupt import CORRUPTIONS, MIN_EDGE, SEVERITIES, corrupt
from oraclezoo.data.corrupt.draws import Draws
from oraclezoo.data.corrupt.primitives import box, resample, texture
from oraclezoo.data.corrupt.sheet import overview, severities
from oraclezoo.errors import DataError, UnknownNameError, UsageError

Images = npt.NDArray[np.uint8]
MOVING = {"shift", "rotate"}


@pytest.fixture(scope="module")
def characters() -> Images:
    """Eighty drawn characters."""
    return drawn.characters((8,) * 10, seed=7)[0]


def made(size: tuple[int, int], count: int = 4) -> Images:
    """Crosses on a dim, noisy ground; the first half of them between black bars."""
    generator = np.random.default_rng(1)
    height, width = size
    images = generator.integers(20, 60, (count, height, width), dtype=np.uint8)
    images[:, height // 2 - 1 : height // 2 + 1, 2:-2] = 210
    images[:, 2:-2, width // 2 - 1 : width // 2 + 1] = 230
    images[: count // 2, :, : width // 5] = 0
    images[: count // 2, :, -(width // 5) :] = 0
    return images


def apart(one: Images, other: Images) -> npt.NDArray[np.float64]:
    return np.abs(one.astype(float) - other).mean((1, 2))


def test_the_corruptions_of_the_design_are_there() -> None:
    """Each has a distinct name and five increasing strengths."""
    assert list(CORRUPTIONS) == [
        *("grain", "speckle", "blots", "rubbing-edge", "blur"),
        *("contrast", "erosion", "shift", "rotate", "occlusion"),
    ]
    for name, kind in CORRUPTIONS.items():
        assert kind.name == name
        assert list(kind.strengths) == sorted(set(kind.strengths))
        assert len(kind.strengths) == len(SEVERITIES)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_grows(name: str, characters: Images) -> None:
    """The mean change increases strictly on average, and for nearly every image."""
    changes = np.array([apart(corrupt(characters, name, s), characters) for s in SEVERITIES])
    assert (np.diff(changes.mean(1)) > 0).all()
    assert (np.diff(changes, axis=0) >= 0).mean() > (0.85 if name == "shift" else 0.98)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_by_itself(name: str, characters: Images) -> None:
    """The result does not depend on order, batch or chunk."""
    whole = corrupt(characters, name, 4, seed=3)
    order = np.random.default_rng(0).permutation(len(characters))
    assert (corrupt(characters[order], name, 4, seed=3) == whole[order]).all()
    assert (corrupt(characters[5:6], name, 4, seed=3)[0] == whole[5]).all()
    many = np.concatenate([characters] * 18)  # more than one chunk
    assert (corrupt(many, name, 4, seed=3)[-len(characters) :] == whole).all()
    strided = np.asfortranarray(characters)
    assert (corrupt(strided, name, 4, seed=3) == whole).all()


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"blur", "contrast"}))
def test_another_seed_is_another_damage(name: str, characters: Images) -> None:
    """Equal seeds give equal results."""
    one, other = corrupt(characters, name, 3, seed=0), corrupt(characters, name, 3, seed=1)
    assert (apart(one, other) > 0).mean() > 0.9
    assert (corrupt(characters, name, 3, seed=0) == one).all()


def test_another_process_makes_the_same() -> None:
    """Nothing depends on hash seeds or global state."""
    code = (
        "import hashlib, numpy as np\n"
        "from oraclezoo.data.corrupt import CORRUPTIONS, corrupt\n"
        "images = (np.arange(2 * 28 * 28) % 251).astype(np.uint8).reshape(2, 28, 28)\n"
        "whole = b''.join(corrupt(images, name, 3, 5).tobytes() for name in CORRUPTIONS)\n"
        "print(hashlib.sha256(whole).hexdigest())"
    )
    images = (np.arange(2 * 28 * 28) % 251).astype(np.uint8).reshape(2, 28, 28)
    here = b"".join(corrupt(images, name, 3, 5).tobytes() for name in CORRUPTIONS)
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert completed.stdout.strip() == hashlib.sha256(here).hexdigest()


@given(
    name=st.sampled_from(sorted(CORRUPTIONS)),
    severity=st.sampled_from(SEVERITIES),
    height=st.integers(MIN_EDGE, 70),
    width=st.integers(MIN_EDGE, 70),
    seed=st.integers(0, 2**40),
)
@settings(max_examples=60)
def test_any_size_stays_its_size(
    name: str, severity: int, height: int, width: int, seed: int
) -> None:
    """The shape is kept, the input unchanged, and bars stay black unless moved."""
    images = made((height, width))
    before = images.copy()
    corrupted = corrupt(images, name, severity, seed)
    assert corrupted.dtype == np.uint8
    assert corrupted.shape == images.shape
    assert (images == before).all()
    if name not in MOVING:
        assert not corrupted[~box(images)].any()


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("value", [0, 255])
def test_flat_images_do_no_harm(name: str, value: int) -> None:
    """Blank images give valid images without warnings."""
    images = np.full((2, 28, 28), value, np.uint8)
    with np.errstate(all="raise", under="ignore"):
        for severity in (1, 5):
            assert corrupt(images, name, severity).shape == images.shape
    assert corrupt(images[:0], name, 1).shape == (0, 28, 28)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_strength_follows_the_edge(name: str, characters: Images) -> None:
    """An image of twice the size changes by about the same number of gray levels."""
    large = characters.repeat(2, axis=1).repeat(2, axis=2)
    small_change = apart(corrupt(characters, name, 4), characters).mean()
    large_change = apart(corrupt(large, name, 4), large).mean()
    assert large_change == pytest.approx(small_change, rel=0.35)


def test_what_cannot_be_is_refused() -> None:
    """Unknown names, invalid severities, seeds, types and shapes."""
    images = made((28, 28))
    with pytest.raises(UnknownNameError, match="did you mean 'blots'"):
        corrupt(images, "blot", 1)
    for severity in (0, 6, 1.5):
        with pytest.raises(UsageError, match="severity"):
            corrupt(images, "blots", severity)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="seed"):
        corrupt(images, "blots", 1, seed=-1)
    for bad in (images.astype(float), images[0], made((7, 28))):
        with pytest.raises(DataError, match=r"uint8 \(N, H, W\)"):
            corrupt(bad, "blots", 1)


def test_random_numbers_are_what_they_claim() -> None:
    """Moments of uniform and normal numbers; images and draws are independent."""
    images = np.arange(64 * 64, dtype=np.uint16).view(np.uint8).reshape(128, 8, 8)
    draws = Draws(images, "test")
    first, second = draws.uniform(-1, 3, 500), draws.uniform(-1, 3, 500)
    assert first.mean() == pytest.approx(1, abs=0.02)
    assert first.std() == pytest.approx(4 / 12**0.5, abs=0.02)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(first)[np.triu_indices(128, 1)]).max() < 0.25
    normal = draws.normal(500)
    assert normal.mean() == pytest.approx(0, abs=0.02)
    assert normal.std() == pytest.approx(1, abs=0.02)
    assert (Draws(images[7:8], "test").uniform(-1, 3, 500) == first[7]).all()
    assert (Draws(images, "other").uniform(-1, 3, 500) != first).mean() > 0.99


@pytest.mark.parametrize("sigma", [0.0, 0.5, 2.0])
def test_texture_has_unit_variance(sigma: float) -> None:
    """For any correlation length."""
    images = made((32, 40), 60)
    field = texture(Draws(images, "test"), (32, 40), sigma)
    assert field.std() == pytest.approx(1, abs=0.05)


def test_resampling_moves_and_turns() -> None:
    """Shifts by whole pixels and quarter turns are exact; the padding is black."""
    images = made((9, 9), 1).astype(np.float32)
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    assert resample(images, zero, zero, zero) == pytest.approx(images)
    moved = resample(images, zero, 2 * one, -one)
    assert moved[0, :-1, 2:] == pytest.approx(images[0, 1:, :-2])
    assert not moved[0, -1].any()
    assert not moved[0, :, :2].any()
    turned = resample(images, one * np.float32(np.pi / 2), zero, zero)
    assert turned[0] == pytest.approx(np.rot90(images[0], -1), abs=0.01)


def test_sheets_show_every_severity() -> None:
    """A row per corruption, or a row per severity of one corruption."""
    images, labels = made((28, 28), 20), np.arange(20, dtype=np.int64) % 4
    picture = overview(images, labels)
    assert picture.height >= len(CORRUPTIONS) * 2 * 28
    assert picture.width >= 3 * 6 * 2 * 28
    strip = severities(images, labels, "occlusion")
    assert strip.height >= 6 * 3 * 28
    one = np.asarray(severities(images, labels, "grain"))
    assert (one != np.asarray(severities(images, labels, "grain", seed=1))).any()
    with pytest.raises(UnknownNameError):
        severities(images, labels, "nothing")
    with pytest.raises(DataError):
        overview(images[:0], labels[:0])
