"""Arrays of written characters, for drawing in batches.

Every sample point of a stroke is a fixed linear combination of a few control points (by linear
interpolation, or on a Catmull-Rom spline for curves), so a batch of jittered characters requires
only a few sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oraclezoo.data.glyphs import written
from oraclezoo.data.glyphs.exact import Doubles, Floats
from oraclezoo.data.glyphs.strokes import Character, Form, Stroke

ORACLE = Path(__file__).with_name("oracle.toml")
"""Variants traced from training images by benchmarks/trace_forms.py."""
TRACED = Path(__file__).with_name("traced.toml")
"""Variants traced from training images by benchmarks/trace_forms.py."""
TRACED_SHARE = 0.9
"""Fraction of a character's images that are drawn from traced variants."""

SAMPLES = 224
"""Number of sample points per variant, divided among its strokes in proportion to length."""
NEIGHBORS = 4
"""Number of control points that a sample point depends on, as in a Catmull-Rom segment."""


@dataclass(frozen=True, slots=True)
class Forms:
    """Arrays of F written variants of K classes; S is :data:`SAMPLES`, M is :data:`NEIGHBORS`.

    Sample point s of variant f is the sum over k of ``weight[f, s, k] * control[f, neighbor[f, s,
    k]]``.

    Attributes:
        classes: Number of classes K.
        label: Label of each variant, int64 ``(F,)``, ascending.
        share: Probability of each variant within its label, ``(F,)``.
        aspect: Width over height, ``(F,)``.
        control: Control points in the unit box, ``(F, C, 2)``, padded to C points.
        neighbor: Indices of control points, int64 ``(F, S, M)``.
        weight: Weights of control points, ``(F, S, M)``.
        stroke: Index of each sample's stroke in its variant, int64 ``(F, S)``.
        thickness: Stroke width in pixels, ``(F,)``, by label.
        margin: Margin as a fraction of the longer side, ``(F,)``, by label.
        mirrored: Fraction of mirrored images, ``(F,)``, by label.
    """

    classes: int
    label: npt.NDArray[np.int64]
    share: Doubles
    aspect: Floats
    control: Doubles
    neighbor: npt.NDArray[np.int64]
    weight: Doubles
    stroke: npt.NDArray[np.int64]
    thickness: Floats
    margin: Floats
    mirrored: Floats


@cache
def oracle() -> tuple[Character, ...]:
    """Return Oracle-MNIST's ten characters: hand-drawn and traced variants, with weights."""
    return tuple(
        replace(
            form,
            forms=(
                *_weighted(form.forms, 1 - TRACED_SHARE),
                *_weighted(traced.forms, TRACED_SHARE),
            ),
        )
        for form, traced in zip(written.read(ORACLE), written.read(TRACED), strict=True)
    )


def _weighted(forms: tuple[Form, ...], share: float) -> Iterator[Form]:
    """Yield the variants with weights that sum to ``share``."""
    total = math.fsum(form.weight for form in forms)  # sum() rounds differently from Python 3.12 on
    return (replace(form, weight=form.weight * share / total) for form in forms)


@cache
def arranged(characters: tuple[Character, ...]) -> Forms:
    """Convert characters to arrays.

    Args:
        characters: The classes; label k is ``characters[k]``.

    Returns:
        The arrays.
    """
    owners = [(label, each) for label, each in enumerate(characters) for _ in each.forms]
    forms = [form for each in characters for form in each.forms]
    label = np.array([number for number, _ in owners], np.int64)
    weight = np.array([form.weight for form in forms], np.float64)
    read = [_form(form) for form in forms]
    control = np.zeros((len(read), max(len(form.control) for form in read), 2))
    for row, form in zip(control, read, strict=True):
        row[: len(form.control)] = form.control
    return Forms(
        classes=len(characters),
        label=label,
        share=weight / np.bincount(label, weights=weight)[label],
        aspect=np.array([form.aspect for form in forms], np.float32),
        control=control,
        neighbor=np.stack([form.neighbor for form in read]),
        weight=np.stack([form.weight for form in read]),
        stroke=np.stack([form.stroke for form in read]),
        thickness=np.array([each.thickness for _, each in owners], np.float32),
        margin=np.array([each.margin for _, each in owners], np.float32),
        mirrored=np.array([each.mirrored for _, each in owners], np.float32),
    )


@dataclass(frozen=True, slots=True)
class _Arrays:
    """Arrays of a single written variant, named and shaped as in :class:`Forms`, but without F."""

    control: Doubles
    neighbor: npt.NDArray[np.int64]
    weight: Doubles
    stroke: npt.NDArray[np.int64]


def _form(form: Form) -> _Arrays:
    places = sorted({place for stroke in form.strokes for place in stroke.points})
    # per stroke, weights of densely spaced points, to measure its length
    fine = [_weights(each) for each in form.strokes]
    stretch = np.array([form.aspect, 1.0])
    walks = []  # per stroke, the arc length up to each dense point
    for each, rows in zip(form.strokes, fine, strict=True):
        leaps = np.diff(_weighted_sum(rows, np.array(each.points)) * stretch, axis=0)
        steps = np.sqrt(leaps[:, 0] * leaps[:, 0] + leaps[:, 1] * leaps[:, 1])
        walks.append(np.concatenate([[0.0], np.cumsum(steps)]))
    ends = np.cumsum([walk[-1] for walk in walks])
    at = (np.arange(SAMPLES) + 0.5) / SAMPLES * ends[-1]
    stroke = np.minimum(np.searchsorted(ends, at), len(ends) - 1)
    neighbor = np.zeros((SAMPLES, NEIGHBORS), np.int64)
    weight = np.zeros((SAMPLES, NEIGHBORS))
    for i, (rows, walk) in enumerate(zip(fine, walks, strict=True)):
        members = np.flatnonzero(stroke == i)
        # includes both ends, so that strokes meet and even a dot has two points
        walked = np.linspace(0, walk[-1], max(len(members), 2))[: len(members)]
        low = np.clip(np.searchsorted(walk, walked, side="right") - 1, 0, len(rows) - 2)
        length = walk[low + 1] - walk[low]
        part = ((walked - walk[low]) / np.where(length > 0, length, 1.0))[:, None]
        blend = rows[low] * (1 - part) + rows[low + 1] * part
        used = np.argsort(blend == 0, axis=1, kind="stable")[:, :NEIGHBORS]
        owner = np.array([places.index(point) for point in form.strokes[i].points])
        neighbor[members, : used.shape[1]] = owner[used]
        weight[members, : used.shape[1]] = np.take_along_axis(blend, used, 1)
    return _Arrays(np.array(places), neighbor, weight, stroke)


def _weighted_sum(rows: Doubles, points: Doubles) -> Doubles:
    """Return ``rows @ points``, summed column by column because BLAS rounding varies."""
    total = np.zeros((len(rows), 2))
    for column, point in zip(rows.T, points, strict=True):
        total += column[:, None] * point
    return total


def _weights(stroke: Stroke) -> Doubles:
    """Return the weights (rows, points) of densely spaced points on a stroke."""
    closed = stroke.kind in ("ring", "loop")
    weights = _curve if stroke.kind in ("curve", "loop") else _line
    return weights(len(stroke.points), closed)


_FINE = 16  # dense points per pair of control points


def _segments(count: int, closed: bool) -> tuple[npt.NDArray[np.int64], Doubles]:
    """Return the segment of each dense point and its relative position (0 to 1) in the segment."""
    last = count if closed else count - 1
    at = np.arange(last * _FINE + 1) / _FINE
    segment = np.minimum(at.astype(np.int64), last - 1)
    return segment, at - segment


def _line(count: int, closed: bool) -> Doubles:
    """Return weights (rows, count) of the polyline through ``count`` points."""
    segment, t = _segments(count, closed)
    weights = np.zeros((len(t), count))
    rows = np.arange(len(t))
    weights[rows, segment] += 1 - t
    weights[rows, (segment + 1) % count] += t
    return weights


def _curve(count: int, closed: bool) -> Doubles:
    """Return weights (rows, count) of the uniform Catmull-Rom spline through ``count`` points."""
    segment, t = _segments(count, closed)
    weights = np.zeros((len(t), count))
    rows = np.arange(len(t))
    blends = (
        t * (-0.5 + t * (1 - 0.5 * t)),
        1 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )
    for offset, blend in enumerate(blends, start=-1):
        place = segment + offset
        place = place % count if closed else np.clip(place, 0, count - 1)
        np.add.at(weights, (rows, place), blend)
    return weights
