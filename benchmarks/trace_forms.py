"""Trace glyph shapes from training images of oracle-mnist-3k; generates ``traced.toml``.

The script thins each of the 1,800 training images to its skeleton (scikit-image, on the smoothed,
enlarged image above Otsu's threshold) and approximates the skeleton by polylines. It keeps a shape
if a model trained on the same 1,800 images (``quick``, 20 epochs) classifies at least three in ten
of the corrupted images that the generator draws from it. No choice uses a validation or test image.

    python benchmarks/trace_forms.py --data-dir FOLDER [--per-class 100] [--write]

Requires scikit-image (extra ``dev``). Without ``--write``, it only reports what it would keep.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import approximate_polygon
from skimage.morphology import remove_small_holes, remove_small_objects, skeletonize

import oraclezoo as oz
from oraclezoo.data.glyphs import generate, written
from oraclezoo.data.glyphs.forms import ORACLE, TRACED
from oraclezoo.data.glyphs.strokes import Character, Form, Stroke
from oraclezoo.errors import DataError

UP = 4  # factor of enlargement before thinning
SPUR_PX = 2.2  # minimum length of branches with a free end, in pixels of the image
SCRAP_PX = 1.2  # minimum length of isolated pieces
SPECK_PX2 = 4.0  # minimum size of bright areas
HOLE_PX2 = 1.2  # minimum size of holes in the ink
FAT_PX = 2.9  # half of the maximum stroke width; wider areas are edges or blots
OFF_PX = 0.45  # maximum distance of a polyline from the skeleton
SMALLEST_PX = 8.0  # minimum length of the longer side of a shape
MAX_POINTS = 30
COPIES = 24  # corrupted images to classify per shape
AGREE = 0.3  # minimum accuracy on them

Mask = npt.NDArray[np.bool_]
Path2 = list[tuple[float, float]]  # (row, column), pixels of the enlarged image
SQUARE = np.ones((3, 3))


def trace(image: npt.NDArray[np.uint8]) -> list[Path2] | None:
    """Return the strokes of one image uint8 (H, W) as polylines, or None if it is too unclear."""
    ink = _ink(image)
    depth = ndimage.distance_transform_edt(ink)
    if ink.mean() > 0.5 or depth.max() > FAT_PX * UP:
        return None
    skeleton = _pruned(skeletonize(ink))
    lines = []
    for start, end, walk in _segments(skeleton)[0]:
        if _length(walk) >= SCRAP_PX * UP or (start and end):
            lines.append([(y, x) for y, x in approximate_polygon(np.array(walk), OFF_PX * UP)])
    lines = [line for line in lines if len(line) > 1]
    points = np.array([point for line in lines for point in line])
    if not len(points) or np.ptp(points, axis=0).max() < SMALLEST_PX * UP:
        return None
    return lines if len(np.unique(points, axis=0)) <= MAX_POINTS else None


def _ink(image: npt.NDArray[np.uint8]) -> Mask:
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(float)
    large = ndimage.zoom(np.pad(box, 2, mode="edge"), UP, order=3)
    large = ndimage.gaussian_filter(large, 0.35 * UP)
    ink = remove_small_objects(large > threshold_otsu(large), max_size=int(SPECK_PX2 * UP * UP))
    filled: Mask = remove_small_holes(ink, max_size=int(HOLE_PX2 * UP * UP))
    return filled


Segment = tuple[int, int, Path2]
"""Junctions at both ends (0: a free end), and the path between them."""


def _segments(skeleton: Mask) -> tuple[list[Segment], list[tuple[float, float]]]:
    """Return the segments of a skeleton, and the centers of junctions, numbered from 1."""
    neighbors = ndimage.convolve(skeleton.astype(int), SQUARE.astype(int), mode="constant") - 1
    crossing = skeleton & (neighbors >= 3)
    junction, count = ndimage.label(crossing, SQUARE)
    centers = [tuple(c) for c in ndimage.center_of_mass(crossing, junction, range(1, count + 1))]
    pieces, number = ndimage.label(skeleton & ~crossing, SQUARE)
    segments = []
    for piece in range(1, number + 1):
        walk = _walk(list(zip(*map(np.ndarray.tolist, np.nonzero(pieces == piece)), strict=True)))
        first, last = (_touching(junction, walk[end]) for end in (0, -1))
        start = first[0] if first else 0
        others = [each for each in last if each != start] or last
        # a single pixel touches the same junctions at both its ends
        end = others[0] if others and (len(walk) > 1 or len(last) > 1) else 0
        way: Path2 = [(float(y), float(x)) for y, x in walk]
        if not start and not end and len(walk) > 8 and _next_to(walk[0], walk[-1]):
            way.append(way[0])  # a ring
        way = [*centers[start - 1 : start], *way] if start else way
        way = [*way, *centers[end - 1 : end]] if end else way
        segments.append((start, end, way))
    return segments, centers


def _walk(pixels: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pixels of a piece without junctions, from one end to the other."""
    remaining = set(pixels)
    ends = [p for p in pixels if sum(q in remaining for q in _around(p)) <= 1]
    walk = [ends[0] if ends else pixels[0]]
    remaining.discard(walk[0])
    while near := [q for q in _around(walk[-1]) if q in remaining]:
        # straight neighbors before diagonal ones, to avoid skipping corner pixels
        walk.append(min(near, key=lambda q: abs(q[0] - walk[-1][0]) + abs(q[1] - walk[-1][1])))
        remaining.discard(walk[-1])
    return walk


def _around(pixel: tuple[int, int]) -> Iterator[tuple[int, int]]:
    y, x = pixel
    return ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)


def _next_to(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= 1


def _touching(junction: npt.NDArray[np.int_], pixel: tuple[int, int]) -> list[int]:
    height, width = junction.shape
    inside = ((y, x) for y, x in _around(pixel) if 0 <= y < height and 0 <= x < width)
    return sorted({int(junction[place]) for place in inside} - {0})


def _length(walk: Path2) -> float:
    return float(np.hypot(*np.diff(np.array(walk), axis=0).T).sum()) if len(walk) > 1 else 0.0


def _pruned(skeleton: Mask) -> Mask:
    """Remove short branches, which come from ragged edges, from a skeleton."""
    for _ in range(3):
        segments, centers = _segments(skeleton)
        cut = skeleton.copy()
        for start, end, walk in segments:
            if bool(start) != bool(end) and _length(walk) < SPUR_PX * UP:
                center = centers[(start or end) - 1]
                for y, x in walk:
                    if np.hypot(y - center[0], x - center[1]) > 1.6:
                        cut[round(y), round(x)] = False
        thinned = skeletonize(cut)
        if np.array_equal(thinned, skeleton):
            break
        skeleton = thinned
    return skeleton


def as_form(lines: list[Path2], where: str) -> Form | None:
    """Return polylines as a shape with rounded coordinates, or None if nothing remains."""
    points = np.array([point for line in lines for point in line])
    low, size = points.min(0), np.maximum(np.ptp(points, axis=0), 1e-6)
    strokes = []
    for line in lines:
        fitted = [tuple(np.round((np.array(p) - low) / size, 2)[::-1].tolist()) for p in line]
        kept = [p for i, p in enumerate(fitted) if not i or p != fitted[i - 1]]
        if len(kept) > 1:
            strokes.append(Stroke("line", tuple(kept)))
    aspect = round(float(np.clip(size[1] / size[0], 0.15, 6)), 2)
    try:
        return written.form(tuple(strokes), where, aspect=aspect) if strokes else None
    except DataError:
        return None


def kept(
    forms: list[tuple[int, int, Form]], model: oz.Model, characters: tuple[Character, ...]
) -> list[float]:
    """Return the accuracy on the corrupted images of each (label, image, shape)."""
    alone = tuple(
        Character(
            str(number),
            (form,),
            thickness=characters[label].thickness,
            margin=characters[label].margin,
        )
        for number, (label, _, form) in enumerate(forms)
    )
    images, numbers = generate([COPIES] * len(forms), 0, alone)
    right = model.predict(images).labels == np.array([label for label, _, _ in forms])[numbers]
    shares = np.bincount(numbers, weights=right, minlength=len(forms)) / COPIES
    return [float(share) for share in shares]


def text(characters: tuple[Character, ...], chosen: list[list[tuple[int, Form]]]) -> str:
    """Return the content of the file."""
    lines = [
        "# Written forms read off training images of the track oracle-mnist-3k by",
        "# benchmarks/trace_forms.py; the comment names the image, by its place in that part. See",
        "# oracle.toml for the format and for what these forms mean to the track oracle-mnist.",
    ]
    for character, forms in zip(characters, chosen, strict=True):
        lines += ["", "[[class]]", f'name = "{character.name}"', f'glyph = "{character.glyph}"']
        for image, form in sorted(forms, key=lambda pair: pair[0]):
            strokes = [
                "line " + "  ".join(f"{_short(x)} {_short(y)}" for x, y in stroke.points)
                for stroke in form.strokes
            ]
            lines += ["", f"[[class.form]] # image {image}", f"aspect = {form.aspect:g}"]
            lines += [f"strokes = {json.dumps(strokes)}"]
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    return f"{value:g}".removeprefix("0") or "0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    track = "oracle-mnist-3k"
    part = oz.registry().create("dataset", track, data_dir=Path(arguments.data_dir)).split("train")
    characters = written.read(ORACLE)
    findings = []
    for number, (image, label) in enumerate(zip(part.images, part.labels, strict=True)):
        lines = trace(image)
        form = as_form(lines, f"image {number}") if lines else None
        if form is not None:
            findings.append((int(label), number, form))
    recipe = oz.Recipe.load("quick", {"data.track": track, "budget.epochs": 20})
    with tempfile.TemporaryDirectory() as folder:
        model = oz.train(recipe, data_dir=arguments.data_dir, out=folder).model()
    shares = kept(findings, model, characters)
    chosen: list[list[tuple[int, Form]]] = []
    for label, character in enumerate(characters):
        read = [
            (share, -number, form)
            for (own, number, form), share in zip(findings, shares, strict=True)
            if own == label and share >= AGREE
        ]
        mine = sorted(read, key=lambda row: row[:2], reverse=True)[: arguments.per_class]
        chosen.append([(-number, form) for _, number, form in mine])
        traced = sum(own == label for own, _, _ in findings)
        print(f"{character.name}: {traced} images can be traced, {len(mine)} forms kept")
    if arguments.write:
        TRACED.write_text(text(characters, chosen), encoding="utf-8")
        print(f"{TRACED}: {TRACED.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
