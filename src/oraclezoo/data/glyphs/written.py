"""Read written characters from stroke files (TOML) or SVG files.

A TOML file has one ``[[class]]`` per character and one ``[[class.form]]`` per written variant;
docs/how-to/data/glyphs.md describes the format. A folder has one subfolder of SVG files per class.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oraclezoo.data.glyphs.strokes import KINDS, Character, Form, Stroke
from oraclezoo.data.glyphs.svg import read_svg
from oraclezoo.documents import read_toml
from oraclezoo.errors import DataError, nearest

MAX_POINTS = 200
"""Maximum number of distinct points of a variant; each costs memory for every image drawn."""
MAX_CLASSES = 256
"""Maximum number of classes in IDX files, whose labels are single bytes."""


_CLASS_KEYS = ("name", "glyph", "thickness", "margin", "mirrored", "form")
_FORM_KEYS = ("strokes", "svg", "aspect", "weight")
_RANGES = {"thickness": (0.3, 12.0), "margin": (0.0, 1.0), "mirrored": (0.0, 1.0)}


def read(path: Path) -> tuple[Character, ...]:
    """Read characters from a stroke file or from a folder of SVG files.

    Args:
        path: A TOML file, or a folder with one subfolder of SVG files per class.

    Returns:
        The characters, in label order.

    Raises:
        DataError: If the path cannot be read or is invalid; the message gives the location.
    """
    characters = _read_folder(path) if path.is_dir() else _read_toml(path)
    if not 2 <= len(characters) <= MAX_CLASSES:
        raise DataError(f"{path}: {len(characters)} classes; 2 to {MAX_CLASSES} are supported")
    names = [character.name for character in characters]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: duplicate class name '{repeated[0]}'; class names must be unique")
    return characters


def digest(characters: tuple[Character, ...]) -> str:
    """Compute a digest of all fields of the characters.

    Args:
        characters: The characters.

    Returns:
        SHA-256, hex.
    """
    text = json.dumps([asdict(character) for character in characters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_toml(path: Path) -> tuple[Character, ...]:
    try:
        document = read_toml(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as TOML ({error})") from error
    _refuse_unknown(document, ("class",), str(path))
    classes = document.get("class")
    if not isinstance(classes, list) or not all(isinstance(entry, dict) for entry in classes):
        raise DataError(f"{path}: expected a [[class]] for each character")
    return tuple(
        _character(entry, f"{path}: class {number}", path.parent)
        for number, entry in enumerate(classes, start=1)
    )


def _character(entry: Mapping[str, Any], where: str, folder: Path) -> Character:
    _refuse_unknown(entry, _CLASS_KEYS, where)
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise DataError(f'{where}: missing name = "..."')
    where = f"{where} ('{name}')"
    glyph = entry.get("glyph", "")
    if not isinstance(glyph, str):
        raise DataError(f"{where}: glyph must be a string")
    numbers = {
        key: _number(entry[key], low, high, f"{where}: {key}")
        for key, (low, high) in _RANGES.items()
        if key in entry
    }
    forms = entry.get("form")
    if not isinstance(forms, list) or not forms or not all(isinstance(f, dict) for f in forms):
        raise DataError(f"{where}: at least one [[class.form]] is required")
    written = tuple(
        _form(form, f"{where}, form {number}", folder) for number, form in enumerate(forms, start=1)
    )
    return Character(name, written, glyph, **numbers)


def _form(entry: Mapping[str, Any], where: str, folder: Path) -> Form:
    _refuse_unknown(entry, _FORM_KEYS, where)
    if ("strokes" in entry) == ("svg" in entry):
        raise DataError(f'{where}: specify either strokes = [...] or svg = "FILE"')
    if "svg" in entry:
        if not isinstance(entry["svg"], str):
            raise DataError(f"{where}: svg must be the name of a file")
        try:
            strokes = read_svg(folder / entry["svg"])
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    else:
        texts = entry["strokes"]
        if not isinstance(texts, list) or not texts:
            raise DataError(f'{where}: strokes must be a list of strings such as "line 0 0  1 1"')
        strokes = tuple(_stroke(text, where) for text in texts)
    weight = _number(entry.get("weight", 1.0), 1e-6, 1e6, f"{where}: weight")
    aspect = entry.get("aspect")
    return form(
        strokes,
        where,
        weight=weight,
        aspect=None if aspect is None else _number(aspect, 0.05, 20.0, f"{where}: aspect"),
    )


def form(
    strokes: tuple[Stroke, ...], where: str, *, weight: float = 1.0, aspect: float | None = None
) -> Form:
    """Build a written variant from strokes, which are scaled to the unit box.

    Args:
        strokes: Strokes in any coordinate system with y downward.
        where: Location for error messages.
        weight: Frequency relative to the class's other variants.
        aspect: Width over height; by default, that of the strokes.

    Returns:
        The variant.

    Raises:
        DataError: If all points coincide, or there are more than :data:`MAX_POINTS` points.
    """
    places = {point for stroke in strokes for point in stroke.points}
    if len(places) > MAX_POINTS:
        raise DataError(f"{where}: {len(places)} points; at most {MAX_POINTS} are allowed")
    low = (min(x for x, _ in places), min(y for _, y in places))
    size = (max(x for x, _ in places) - low[0], max(y for _, y in places) - low[1])
    longest = max(size)
    if not longest > 0:
        raise DataError(f"{where}: all points coincide")
    natural = max(size[0], 0.05 * longest) / max(size[1], 0.05 * longest)
    fitted = tuple(
        Stroke(
            stroke.kind,
            tuple(
                (
                    (x - low[0]) / size[0] if size[0] else 0.5,
                    (y - low[1]) / size[1] if size[1] else 0.5,
                )
                for x, y in stroke.points
            ),
        )
        for stroke in strokes
    )
    return Form(fitted, natural if aspect is None else aspect, weight)


def _stroke(text: object, where: str) -> Stroke:
    """Parse a stroke such as ``"line 0 .5  1 .5"``."""
    kind, *numbers = (text.split() if isinstance(text, str) else []) or [""]
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = []
    good = len(values) >= 4 and len(values) % 2 == 0 and all(map(math.isfinite, values))
    if kind not in KINDS or not good or max(map(abs, values)) > 1e6:
        raise DataError(
            f"{where}: invalid stroke {text!r}; expected {', '.join(KINDS)}, then x y of at "
            'least two points: "line 0 .5  1 .5"'
        )
    return Stroke(kind, tuple(zip(values[::2], values[1::2], strict=True)))


def _read_folder(path: Path) -> tuple[Character, ...]:
    characters = []
    for place in sorted(each for each in path.iterdir() if each.is_dir()):
        files = sorted(place.glob("*.svg"))
        if files:
            forms = tuple(form(read_svg(file), str(file)) for file in files)
            characters.append(Character(place.name, forms))
    if not characters:
        raise DataError(f"{path}: no SVG files; expected CLASS/FORM.svg, one folder per class")
    return tuple(characters)


def _number(value: object, low: float, high: float, where: str) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not low <= value <= high:  # type: ignore[operator]  # a number if ``good``
        raise DataError(f"{where} must be a number from {low:g} to {high:g}, not {value!r}")
    return float(value)  # type: ignore[arg-type]  # a number by now


def _refuse_unknown(entry: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in known:
            raise DataError(f"{where}: unknown key '{key}'{nearest(key, known)}")
