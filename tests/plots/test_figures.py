"""Figures from arrays: complete, reproducible, with characters that render."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from oraclezoo.data.lettering import FONT
from oraclezoo.plots.classes import confusion, per_class
from oraclezoo.plots.curves import curves
from oraclezoo.plots.embedding import embedding, lay_out
from oraclezoo.plots.mistakes import mistakes
from oraclezoo.plots.records import Course, EpochMetrics, Scored
from oraclezoo.plots.style import Letters, drawing

CLASSES = ("big", "sun", "moon")
GLYPHS = ("大", "日", "月")


def scored(images: int = 60, classes: int = 3, wrong: int = 7) -> Scored:
    """Return a synthetic model that predicts the next class for the first ``wrong`` images."""
    generator = np.random.default_rng(0)
    labels = np.arange(images) % classes
    count = np.where(np.arange(images) < wrong, (labels + 1) % classes, labels)
    probabilities = np.full((images, classes), 0.1 / classes)
    probabilities[np.arange(images), count] = np.linspace(0.9, 0.99, images)
    return Scored(
        title="made, seed 0",
        subtitle=f"made, validation: {images} images",
        classes=tuple(CLASSES[k] if k < 3 else f"class {k}" for k in range(classes)),
        glyphs=tuple(GLYPHS[k] if k < 3 else "" for k in range(classes)),
        labels=labels.astype(np.int64),
        probabilities=probabilities,
        images=generator.integers(0, 255, (images, 28, 28), dtype=np.uint8),
        embeddings=generator.normal(size=(images, 64)) + 6 * np.eye(64)[labels % 64],
        embedded="made vectors",
    )


def course(epochs: int = 5) -> Course:
    rows = [
        EpochMetrics(
            epoch=k + 1,
            lr=0.1 / (k + 1),
            train_loss=2.0 / (k + 1),
            validation_loss=1.0 / (k + 1) if k % 2 == 0 else None,
            validation_accuracy=1 - 0.5 / (k + 1) if k % 2 == 0 else None,
        )
        for k in range(epochs)
    ]
    return Course("made", "made", tuple(rows), smoothing=0.1, augmented=True)


def letters(made: Scored) -> Letters:
    return Letters(FONT, [*made.classes, *made.glyphs])


Draw = Callable[[Scored, Path], list[Path]]
DRAWINGS: dict[str, Draw] = {
    "curves": lambda made, out: curves(course(), out),
    "confusion": lambda made, out: confusion(made, letters(made), out, "confusion"),
    "per-class": lambda made, out: per_class(
        made, [(0.5, 1.0)] * len(made.present), letters(made), out, "per-class"
    ),
    "mistakes": lambda made, out: mistakes(made, letters(made), out, "mistakes"),
    "embedding": lambda made, out: embedding(made, letters(made), out, "embedding"),
}


def draw(name: str, made: Scored, out: Path) -> list[Path]:
    """Draw a figure; a warning, e.g. about a missing glyph, is an error."""
    out.mkdir(exist_ok=True)
    with drawing(letters(made)), warnings.catch_warnings():
        warnings.simplefilter("error")
        return DRAWINGS[name](made, out)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_is_two_files_and_the_svg_is_the_same_twice(name: str, tmp_path: Path) -> None:
    """The SVG is reproducible; the PNG is large enough to read and opaque."""
    first, second = (draw(name, scored(), tmp_path / part) for part in ("a", "b"))
    assert [path.name for path in first] == [f"{name}.svg", f"{name}.png"]
    assert first[0].read_bytes() == second[0].read_bytes()
    assert b"<dc:date>" not in first[0].read_bytes()
    with Image.open(first[1]) as picture:
        assert min(picture.size) > 400
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


@pytest.mark.parametrize("name", ["confusion", "per-class", "mistakes", "embedding"])
@pytest.mark.parametrize(
    "made",
    [
        scored(wrong=0),
        scored(images=130, classes=65, wrong=50),
        scored(images=9, classes=2, wrong=9),
        dataclasses.replace(scored(), glyphs=("", "$x$", "\U0001f9ff")),
    ],
    ids=["no misclassified images", "many classes", "all wrong", "odd characters"],
)
def test_odd_cases_are_drawn_too(name: str, made: Scored, tmp_path: Path) -> None:
    """No errors, more classes than colors, no correct prediction, characters missing in fonts."""
    assert len(draw(name, made, tmp_path)) == 2


def test_an_embedding_of_a_few_images_is_left_out(tmp_path: Path) -> None:
    """t-SNE of fewer than eight images is not meaningful."""
    assert draw("embedding", scored(images=6), tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_a_class_that_the_split_lacks_is_not_in_the_matrix(tmp_path: Path) -> None:
    """A class without images is omitted unless it is predicted."""
    result = scored(images=60, wrong=0)
    some = result.labels != 2
    part = dataclasses.replace(
        result,
        labels=result.labels[some],
        probabilities=result.probabilities[some],
        images=np.asarray(result.images)[some],
        embeddings=result.embeddings[some],
    )
    assert part.present == [0, 1]
    assert len(draw("per-class", part, tmp_path)) == 2


def test_chinese_labels_render() -> None:
    """The label font has them; other characters use a system font or U+XXXX."""
    with_ours = Letters(FONT, GLYPHS)
    assert with_ours.families[:2] == ["DejaVu Sans", "Noto Sans CJK SC"]
    assert with_ours.label("big", "大") == "大 big"
    assert with_ours.label("é", "") == "é"
    assert with_ours.label("大", "大") == "大"
    rare = Letters(FONT, ["\U000f0000"])
    assert rare.show("\U000f0000") == "U+F0000"


def settings() -> dict[str, Any]:
    """Return all settings except the backend, which matplotlib chooses on first use."""
    return {key: value for key, value in matplotlib.rcParams.items() if key != "backend"}


def test_settings_of_matplotlib_are_put_back() -> None:
    """Settings of a notebook remain unchanged."""
    before = settings()
    with drawing(Letters(FONT, GLYPHS)):
        assert matplotlib.rcParams["svg.hashsalt"] == "oraclezoo"
    assert settings() == before


def test_groups_that_are_apart_stay_apart() -> None:
    """Each point's nearest neighbor has its class, and the layout is reproducible."""
    result = scored(images=90)
    points, perplexity = lay_out(result.embeddings)
    again, _ = lay_out(result.embeddings)
    np.testing.assert_array_equal(points, again)
    assert perplexity == pytest.approx(89 / 3)
    distances = np.linalg.norm(points[:, None] - points, axis=2) + 1e9 * np.eye(90)
    assert (result.labels[distances.argmin(1)] == result.labels).all()


@pytest.mark.parametrize("shape", [(8, 1), (8, 2), (20, 3)])
def test_narrow_and_constant_embeddings_are_laid_out(shape: tuple[int, int]) -> None:
    """One dimension, or zero variance."""
    varied: Any = np.arange(shape[0] * shape[1], dtype=float).reshape(shape)
    for values in (varied, np.zeros(shape)):
        points, _ = lay_out(values)
        assert points.shape == (shape[0], 2)
        assert np.isfinite(points).all()
