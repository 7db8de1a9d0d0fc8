"""Stroke files: valid content, and one-line errors for invalid content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.glyphs import generate
from oraclezoo.data.glyphs.forms import arranged, oracle
from oraclezoo.data.glyphs.strokes import KINDS, Character, Stroke
from oraclezoo.data.glyphs.written import MAX_POINTS, digest, form, read
from oraclezoo.errors import DataError

GOOD = """
[[class]]
name = "mountain"
glyph = "山"
thickness = 2.5
margin = 0.1
mirrored = 0.5

[[class.form]]
weight = 2
strokes = ["line 0 100  20 40  40 100", "curve 40 100  60 0  80 100"]

[[class.form]]
aspect = 1.5
strokes = ["ring 0 0  1 0  .5 1"]

[[class]]
name = "one"

[[class.form]]
strokes = ["line 0 .5  1 .5"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_a_file_says_what_it_says(file: Path) -> None:
    """Names, settings and forms are read; coordinates are scaled to the unit box."""
    mountain, one = read(file)
    assert (mountain.name, mountain.glyph, mountain.thickness) == ("mountain", "山", 2.5)
    assert (mountain.margin, mountain.mirrored, one.mirrored) == (0.1, 0.5, 0.0)
    first, second = mountain.forms
    assert first.weight == 2
    assert first.aspect == pytest.approx(0.8)  # 80 wide, 100 high
    assert first.strokes[0] == Stroke("line", ((0.0, 1.0), (0.25, 0.4), (0.5, 1.0)))
    assert second.aspect == 1.5
    assert one.forms[0].aspect == pytest.approx(20)  # a level line has no height of its own


def test_what_is_read_can_be_drawn(file: Path) -> None:
    """Characters from a file can be generated."""
    images, labels = generate([5, 7], 0, read(file))
    assert images.shape == (12, 28, 28)
    assert np.bincount(labels).tolist() == [5, 7]


def test_the_ten_characters_are_written_in_the_same_format() -> None:
    """The bundled file has Oracle-MNIST's classes with several forms each."""
    characters = oracle()
    assert tuple(each.name for each in characters) == CLASSES
    assert tuple(each.glyph for each in characters) == GLYPHS
    assert min(len(each.forms) for each in characters) >= 5


def test_the_digest_follows_what_is_said_not_how(file: Path) -> None:
    """Comments do not change the digest; coordinates do."""
    before = digest(read(file))
    file.write_text("# a comment\n" + GOOD, encoding="utf-8")
    assert digest(read(file)) == before
    file.write_text(GOOD.replace("60 0", "60 10"), encoding="utf-8")
    assert digest(read(file)) != before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "one"', "", "class 2: missing name"),
        ('name = "one"', 'name = "mountain"', "duplicate class name 'mountain'"),
        ("thickness", "thicknes", "unknown key 'thicknes'; did you mean 'thickness'"),
        ("mirrored = 0.5", "mirrored = 1.5", "mirrored must be a number from 0 to 1"),
        ("mirrored = 0.5", "mirrored = true", "mirrored must be a number"),
        ("mirrored = 0.5", "mirrored = nan", "mirrored must be a number"),
        ("weight = 2", "weight = 0", "weight must be a number"),
        ("line 0 .5  1 .5", "line 0 .5  1", "invalid stroke"),
        ("line 0 .5  1 .5", "arc 0 .5  1 .5", "invalid stroke"),
        ("line 0 .5  1 .5", "line 0 .5  1 inf", "invalid stroke"),
        ("line 0 .5  1 .5", "line 1 1  1 1", "all points coincide"),
        ('strokes = ["line 0 .5  1 .5"]', "strokes = []", "strokes must be a list"),
        ('strokes = ["line 0 .5  1 .5"]', "strokes = [3]", "invalid stroke"),
        ('strokes = ["line 0 .5  1 .5"]', "", "specify either strokes"),
        ('strokes = ["line 0 .5  1 .5"]', 'svg = "no.svg"', "no.svg: cannot be read"),
        ('strokes = ["line 0 .5  1 .5"]', "svg = 3", "svg must be the name of a file"),
        ("[[class]]", "[[clas]]", "unknown key 'clas'"),
        ("[[class]]", "[[class", "cannot be read as TOML"),
    ],
)
def test_mistakes_are_told_with_their_place(file: Path, old: str, new: str, said: str) -> None:
    """The error is one line with the place in the file."""
    file.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(file)
    assert said in str(caught.value)
    assert file.parent.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_class_is_no_data_set(tmp_path: Path) -> None:
    """At least two classes are required."""
    path = tmp_path / "one.toml"
    path.write_text('[[class]]\nname = "a"\n[[class.form]]\nstrokes = ["line 0 0 1 1"]\n')
    with pytest.raises(DataError, match="1 classes; 2 to"):
        read(path)


def test_too_many_points_are_refused() -> None:
    """Each point costs memory in every image."""
    points = tuple((float(i), float(i % 7)) for i in range(MAX_POINTS + 1))
    with pytest.raises(DataError, match="201 points"):
        form((Stroke("line", points),), "here")


coordinates = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))
strokes = st.builds(
    Stroke,
    st.sampled_from(KINDS),
    st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=8).map(tuple),
)


@given(st.lists(strokes, min_size=1, max_size=4))
def test_any_strokes_fill_the_box_and_can_be_arranged(made: list[Stroke]) -> None:
    """Control points span the unit box; every sample is a weighting of them that sums to 1."""
    if len({point for stroke in made for point in stroke.points}) < 2:
        return
    fitted = form(tuple(made), "here")
    points = np.array([point for stroke in fitted.strokes for point in stroke.points])
    assert points.min() >= -1e-9
    assert points.max() <= 1 + 1e-9
    assert np.ptp(points, axis=0).max() == pytest.approx(1)
    assert 0.05 - 1e-9 <= fitted.aspect <= 20 + 1e-9
    arrays = arranged((Character("a", (fitted,)), Character("b", (fitted,))))
    np.testing.assert_allclose(arrays.weight.sum(2), 1, atol=1e-9)
    assert np.isfinite(arrays.weight).all()


def test_a_folder_of_svg_files_is_a_data_set(tmp_path: Path) -> None:
    """CLASS/FORM.svg: classes are named after folders, one file per form."""
    for name, path in (("b", "M0 0 L10 10"), ("a", "M0 0 L10 0")):
        for number in range(2):
            place = tmp_path / name / f"{number}.svg"
            place.parent.mkdir(exist_ok=True)
            place.write_text(f'<svg xmlns="http://www.w3.org/2000/svg"><path d="{path}"/></svg>')
    actual = read(tmp_path)
    assert [(each.name, len(each.forms)) for each in actual] == [("a", 2), ("b", 2)]
    (tmp_path / "empty").mkdir()
    assert read(tmp_path) == actual
    with pytest.raises(DataError, match="no SVG file"):
        read(tmp_path / "empty")


HUGE = "9" * 400
NESTED_USE = (
    '<svg xmlns="http://www.w3.org/2000/svg"><defs><path id="a0" d="M0 0 L9 9"/>'
    + "".join(
        f'<g id="a{n}"><use href="#a{n - 1}"/><use href="#a{n - 1}"/></g>' for n in range(1, 25)
    )
    + '</defs><use href="#a24"/></svg>'
)


@pytest.mark.parametrize(
    ("svg", "reason"),
    [
        (f'<svg><path d="M0 0 L{HUGE} 5"/></svg>', "a coordinate is beyond 1,000,000"),
        ('<svg><path d="M0 0 L1e308 5"/></svg>', "a coordinate is beyond 1,000,000"),
        (NESTED_USE, "more than 10,000 elements once 'use' is resolved"),
        ('<svg><g id="a"><use href="#a"/></g></svg>', "more than 10,000 elements"),
    ],
    ids=["huge coordinate", "near the largest float", "nested use", "use of itself"],
)
def test_an_svg_that_explodes_is_refused(svg: str, reason: str, tmp_path: Path) -> None:
    """Its size in bytes says nothing about what becomes of it."""
    (tmp_path / "a.svg").write_text(svg)
    classes = '[[class]]\nname = "a"\n[[class.form]]\nsvg = "a.svg"\n'
    (tmp_path / "c.toml").write_text(classes)
    with pytest.raises(DataError, match=rf"class 1 \('a'\), form 1: .*{reason}"):
        read(tmp_path / "c.toml")


@pytest.mark.parametrize(
    ("form", "reason"),
    [('strokes = [""]', "invalid stroke ''"), ('svg = "\\u0000"', "embedded null byte")],
)
def test_empty_strokes_and_impossible_names_are_refused(
    form: str, reason: str, tmp_path: Path
) -> None:
    """With the class and the form."""
    (tmp_path / "c.toml").write_text(f'[[class]]\nname = "a"\n[[class.form]]\n{form}\n')
    with pytest.raises(DataError, match=rf"class 1 \('a'\), form 1: .*{reason}"):
        read(tmp_path / "c.toml")
