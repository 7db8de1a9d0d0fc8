"""Conversion of SVG files to strokes: shapes, transforms, smooth and straight parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from oraclezoo.data.glyphs import svg
from oraclezoo.data.glyphs.svg import read_svg
from oraclezoo.errors import DataError


def strokes(folder: Path, inner: str) -> list[tuple[str, list[tuple[float, float]]]]:
    path = folder / "drawing.svg"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{inner}</svg>')
    return [
        (s.kind, [(round(x, 3) + 0.0, round(y, 3) + 0.0) for x, y in s.points])
        for s in read_svg(path)
    ]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ('<path d="M0 0 L10 0 L10 5"/>', [("line", [(0, 0), (10, 0), (10, 5)])]),
        ('<line x1="1" y1="2" x2="3" y2="4"/>', [("line", [(1, 2), (3, 4)])]),
        ('<polyline points="0,0 1,2 3,1"/>', [("line", [(0, 0), (1, 2), (3, 1)])]),
        ('<polygon points="0,0 4,0 2,3"/>', [("ring", [(0, 0), (4, 0), (2, 3)])]),
        ('<path d="M0 0 L4 0 L2 3 Z"/>', [("ring", [(0, 0), (4, 0), (2, 3)])]),
        (
            '<rect x="1" y="1" width="4" height="2"/>',
            [("ring", [(1, 1), (5, 1), (5, 3), (1, 3)])],
        ),
        (
            '<g transform="translate(10 20)"><path d="M0 0 l5 0"/></g>',
            [("line", [(10, 20), (15, 20)])],
        ),
        (
            '<path d="M0 0 L1 0 M5 5 L6 5"/>',
            [("line", [(0, 0), (1, 0)]), ("line", [(5, 5), (6, 5)])],
        ),
        (
            '<g transform="scale(2)"><path transform="rotate(90)" d="M0 0 h5 v1"/></g>',
            [("line", [(0, 0), (0, 10), (-2, 10)])],
        ),
        (
            '<defs><path id="a" d="M0 0 h5"/></defs><use href="#a" x="3"/>',
            [("line", [(3, 0), (8, 0)])],
        ),
        ('<text x="1" y="1">no stroke</text><path d="M0 0 h5"/>', [("line", [(0, 0), (5, 0)])]),
        ('<path d="M0 0 Q 3 6 6 0"/>', [("curve", [(0, 0), (2, 2.667), (4, 2.667), (6, 0)])]),
    ],
)
def test_shapes_become_strokes(
    tmp_path: Path, inner: str, expected: list[tuple[str, list[tuple[float, float]]]]
) -> None:
    """Straight shapes keep their corners; a curve gets points on it; transforms are applied."""
    assert strokes(tmp_path, inner) == expected


def test_a_circle_is_a_loop_through_points_of_it(tmp_path: Path) -> None:
    """A circle is a smooth, closed stroke."""
    [(kind, points)] = strokes(tmp_path, '<circle cx="5" cy="5" r="4"/>')
    assert kind == "loop"
    assert len(points) >= 8
    for x, y in points:
        assert ((x - 5) ** 2 + (y - 5) ** 2) ** 0.5 == pytest.approx(4, abs=0.01)


def test_a_line_that_goes_on_as_a_curve_stays_joined(tmp_path: Path) -> None:
    """The straight and the smooth part are two strokes that share a point."""
    (first, a), (second, b) = strokes(tmp_path, '<path d="M0 0 L10 0 C 12 0 14 2 14 4"/>')
    assert (first, second) == ("line", "curve")
    assert a[-1] == b[0] == (10, 0)


def test_curves_that_meet_in_a_corner_are_two_strokes(tmp_path: Path) -> None:
    """A cusp isn't rounded; a smooth join is one stroke."""
    cusp = strokes(tmp_path, '<path d="M0 0 C 1 3 4 5 6 5 C 6 2 8 0 9 -3"/>')
    assert [kind for kind, _ in cusp] == ["curve", "curve"]
    smooth = strokes(tmp_path, '<path d="M0 0 C 1 3 4 5 6 5 C 8 5 10 4 11 2"/>')
    assert [kind for kind, _ in smooth] == ["curve"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as SVG"),
        (b"not xml", "cannot be read as SVG"),
        (b"<svg", "cannot be read as SVG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "no path, line or other shape"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0 X"/></svg>', "drawing.svg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M 0"/></svg>', "drawing.svg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="a" height="2"/></svg>', "drawing"),
        (b"\x00\x01\x02\xff", "cannot be read as SVG"),
    ],
)
def test_what_is_no_drawing_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Any invalid content is a DataError with the file name."""
    path = tmp_path / "drawing.svg"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_svg(path)
    assert said in str(caught.value)


def test_entities_do_not_blow_up(tmp_path: Path) -> None:
    """Exponential entity expansion (billion laughs) is rejected."""
    laughs = "".join(
        f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' if i else '<!ENTITY l0 "ha">' for i in range(10)
    )
    path = tmp_path / "drawing.svg"
    path.write_text(f"<!DOCTYPE svg [{laughs}]><svg><title>&l9;</title></svg>")
    with pytest.raises(DataError):
        read_svg(path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """The size is checked first; a missing file is a DataError."""
    path = tmp_path / "drawing.svg"
    path.write_bytes(b" " * (svg.MAX_BYTES + 1))
    with pytest.raises(DataError, match="simplify"):
        read_svg(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_svg(tmp_path / "none.svg")
