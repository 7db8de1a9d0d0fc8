"""Written characters as arrays, ready to be drawn by the batch.

Every sample point of a stroke is a fixed weighting of the control points it was described by
(linear, or Catmull-Rom for curves), so a whole batch of jittered forms is one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oraclezoo.data.glyphs import written
from oraclezoo.data.glyphs.written import Character, Form, Stroke

Floats = npt.NDArray[np.float32]

ORACLE = Path(__file__).with_name("oracle.toml")
"""The written forms of Oracle-MNIST's ten characters, drawn by eye."""
TRACED = Path(__file__).with_name("traced.toml")
"""More of them, read off training images by benchmarks/trace_forms.py."""
TRACED_SHARE = 0.9
"""How many images of a character are drawn from traced forms."""

SAMPLES = 224
"""Sample points of a form, spread over its strokes in proportion to their length."""


@dataclass(frozen=True, slots=True)
class Forms:
    """F written forms of K classes, padded to C control points; S is :data:`SAMPLES`.

    ``label`` int (F,), ascending; ``share`` of each form within its label (F,), ``aspect`` width
    over height (F,), ``control`` (F, C, 2) in the unit box, ``basis`` (F, S, C) from control to
    sample points, ``stroke`` int (F, S): the stroke each sample belongs to, numbered from 0 in each
    form. ``thickness`` px, ``margin`` of the longer edge and ``mirrored`` share are (F,), by label.
    """

    classes: int
    label: npt.NDArray[np.int64]
    share: Floats
    aspect: Floats
    control: Floats
    basis: Floats
    stroke: npt.NDArray[np.int64]
    thickness: Floats
    margin: Floats
    mirrored: Floats


@cache
def oracle() -> tuple[Character, ...]:
    """Oracle-MNIST's ten characters: forms drawn by eye, then traced ones, at their shares."""
    return tuple(
        replace(
            drawn,
            forms=(
                *_weighted(drawn.forms, 1 - TRACED_SHARE),
                *_weighted(traced.forms, TRACED_SHARE),
            ),
        )
        for drawn, traced in zip(written.read(ORACLE), written.read(TRACED), strict=True)
    )


def _weighted(forms: tuple[Form, ...], share: float) -> Iterator[Form]:
    """The forms with weights that sum to ``share``."""
    total = sum(form.weight for form in forms)
    return (replace(form, weight=form.weight * share / total) for form in forms)


@cache
def arranged(characters: tuple[Character, ...]) -> Forms:
    """The arrays of ``characters``, labelled in their order."""
    owners = [(label, each) for label, each in enumerate(characters) for _ in each.forms]
    forms = [form for each in characters for form in each.forms]
    label = np.array([number for number, _ in owners], np.int64)
    weight = np.array([form.weight for form in forms], np.float64)
    read = [_form(form) for form in forms]
    widest = max(len(control) for control, _, _ in read)
    control = np.zeros((len(read), widest, 2), np.float32)
    basis = np.zeros((len(read), SAMPLES, widest), np.float32)
    for i, (points, weights, _) in enumerate(read):
        control[i, : len(points)] = points
        basis[i, :, : len(points)] = weights
    return Forms(
        classes=len(characters),
        label=label,
        share=(weight / np.bincount(label, weights=weight)[label]).astype(np.float32),
        aspect=np.array([form.aspect for form in forms], np.float32),
        control=control,
        basis=basis,
        stroke=np.stack([stroke for _, _, stroke in read]),
        thickness=np.array([each.thickness for _, each in owners], np.float32),
        margin=np.array([each.margin for _, each in owners], np.float32),
        mirrored=np.array([each.mirrored for _, each in owners], np.float32),
    )


def _form(form: Form) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Control points (C, 2), basis (SAMPLES, C) and stroke numbers (SAMPLES,) of one form."""
    places = sorted({place for stroke in form.strokes for place in stroke.points})
    control = np.array(places, np.float32)
    fine = []  # per stroke, a basis dense enough to measure its length by
    for each in form.strokes:
        fine.append(_weights(each) @ _picked(each, places))
    stretch = np.array([form.aspect, 1.0], np.float32)
    walks = []  # per stroke, the length walked up to each row of its fine basis
    for rows in fine:
        steps = np.hypot(*np.diff((rows @ control) * stretch, axis=0).T)
        walks.append(np.concatenate([[0.0], np.cumsum(steps)]))
    ends = np.cumsum([walk[-1] for walk in walks])
    at = (np.arange(SAMPLES) + 0.5) / SAMPLES * ends[-1]
    stroke = np.minimum(np.searchsorted(ends, at), len(ends) - 1)
    basis = np.empty((SAMPLES, len(places)), np.float32)
    for i, (rows, walk) in enumerate(zip(fine, walks, strict=True)):
        here = np.flatnonzero(stroke == i)
        # from end to end, so that joints are reached and even a dot has both its ends
        along = np.interp(
            np.linspace(0, walk[-1], max(len(here), 2)), walk, np.arange(len(walk), dtype=float)
        )[: len(here)]
        low = np.minimum(along.astype(int), len(rows) - 2)
        part = (along - low)[:, None].astype(np.float32)
        basis[here] = rows[low] * (1 - part) + rows[low + 1] * part
    return control, basis, stroke


def _picked(stroke: Stroke, places: Sequence[written.Point]) -> Floats:
    """1 where a point (row) of the stroke is the control point of the column."""
    picked = np.zeros((len(stroke.points), len(places)), np.float32)
    picked[np.arange(len(picked)), [places.index(point) for point in stroke.points]] = 1
    return picked


def _weights(stroke: Stroke) -> Floats:
    closed = stroke.kind in ("ring", "loop")
    weights = _curve if stroke.kind in ("curve", "loop") else _line
    return weights(len(stroke.points), closed)


_FINE = 16  # rows of a fine basis from one control point to the next


def _segments(count: int, closed: bool) -> tuple[npt.NDArray[np.int64], Floats]:
    """For each row of the fine basis: the segment it lies on, and how far along (0 to 1)."""
    last = count if closed else count - 1
    at = np.arange(last * _FINE + 1) / _FINE
    segment = np.minimum(at.astype(np.int64), last - 1)
    return segment, (at - segment).astype(np.float32)


def _line(count: int, closed: bool) -> Floats:
    """Weights (rows, count) of straight lines through ``count`` points."""
    segment, t = _segments(count, closed)
    weights = np.zeros((len(t), count), np.float32)
    rows = np.arange(len(t))
    weights[rows, segment] += 1 - t
    weights[rows, (segment + 1) % count] += t
    return weights


def _curve(count: int, closed: bool) -> Floats:
    """Weights (rows, count) of the uniform Catmull-Rom spline through ``count`` points."""
    segment, t = _segments(count, closed)
    weights = np.zeros((len(t), count), np.float32)
    rows = np.arange(len(t))
    blends = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    for offset, blend in enumerate(blends, start=-1):
        place = segment + offset
        place = place % count if closed else np.clip(place, 0, count - 1)
        np.add.at(weights, (rows, place), blend)
    return weights
