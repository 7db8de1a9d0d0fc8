"""Parse the body of a prediction request (an image, a form, or JSON) into images and options."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from oraclezoo.errors import UsageError
from oraclezoo.imaging.polarity import POLARITIES
from oraclezoo.imaging.several import ORDERS
from oraclezoo.server.batching import Picture
from oraclezoo.server.rejection import RejectedError, invalid
from oraclezoo.serving.reading import Preprocessing, box_of

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

OPTIONS = ("model", "top", "polarity", "box", "several")
"""Prediction options: query parameters, form fields, or keys of a JSON object."""

LONGEST = 200
"""Maximum number of characters of an image's name and of an option's value."""


@dataclass(frozen=True, slots=True)
class Question:
    """The parsed content of a prediction request."""

    pictures: list[Picture]
    options: Mapping[str, str]


def question(content_type: str, body: bytes, query: Mapping[str, str], most: int) -> Question:
    """Return the images and options of a request.

    Args:
        content_type: The request's ``Content-Type`` header.
        body: A form for ``multipart/form-data``, a JSON object for ``application/json``, and an
            image file for any other type.
        query: Query parameters; options in the body take precedence.
        most: Maximum number of images.

    Raises:
        RejectedError: The body is malformed or has no or too many images, or an option is unknown.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        pictures, options = _form(content_type, body, most)
    elif kind == "application/json":
        pictures, options = _json(body, most)
    elif body:
        pictures, options = [Picture("image", body)], {}
    else:
        pictures, options = [], {}
    if not pictures:
        raise invalid("the request has no image; send the bytes of a file, a form, or JSON")
    for name in query:
        if name not in OPTIONS:
            raise invalid(f"unknown parameter '{name[:LONGEST]}'; known are {', '.join(OPTIONS)}")
    return Question(pictures, {**query, **options})


def top_of(options: Mapping[str, str], classes: int) -> int:
    """Return the number of classes to list. Raises RejectedError."""
    text = options.get("top", "3")
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and int(text) >= 1):
        raise invalid(f"top must be a whole number from 1, not '{text}'")
    return min(int(text), classes)


def preprocessing_of(options: Mapping[str, str], max_pixels: int) -> Preprocessing:
    """Return how to preprocess the images. Raises RejectedError."""
    polarity = options.get("polarity", "auto")
    for known in POLARITIES:
        if polarity == known:
            break
    else:
        raise invalid(f"polarity must be one of {', '.join(POLARITIES)}, not '{polarity}'")
    try:
        box = box_of(options["box"]) if "box" in options else None
    except UsageError as error:
        raise invalid(f"box: {error}") from error
    several = options.get("several")
    if several is None:
        return Preprocessing(polarity=known, box=box, max_pixels=max_pixels)
    if box is not None:
        raise invalid("several finds the characters itself; it cannot be combined with box")
    for order in ORDERS:
        if several == order:
            return Preprocessing(polarity=known, max_pixels=max_pixels, several=order)
    raise invalid(f"several must be one of {', '.join(ORDERS)}, not '{several}'")


def parse_json(text: bytes) -> Any:
    """Parse a JSON document without NaN and infinity. Raises RejectedError."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # also for invalid UTF-8 and overlong numbers
        reason = " ".join(str(error).split())[:LONGEST] or "nested too deeply"
        raise RejectedError(400, "malformed", f"the request is not JSON: {reason}") from error


def base64_bytes(text: str, what: str) -> bytes:
    """Decode base64, with or without the prefix of a data URL. Raises RejectedError."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{what} is not base64 ({error})") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _json(body: bytes, most: int) -> tuple[list[Picture], dict[str, str]]:
    document = parse_json(body)
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise invalid('the JSON must be an object with "images", a list of base64 strings')
    if len(document["images"]) > most:
        raise too_many(len(document["images"]), most)
    for name in document:
        if name not in (*OPTIONS, "images"):
            raise invalid(f"unknown key '{name[:LONGEST]}'; known are images, {', '.join(OPTIONS)}")
    pictures = [_json_picture(number, each) for number, each in enumerate(document["images"], 1)]
    options = {name: document[name] for name in OPTIONS if document.get(name) is not None}
    return pictures, {name: _json_option(name, value) for name, value in options.items()}


def _json_picture(number: int, value: Any) -> Picture:
    name, data = f"image {number}", value
    if isinstance(value, dict):
        name, data = value.get("name", name), value.get("data")
        if not isinstance(name, str) or value.keys() - {"name", "data"}:
            raise invalid(f'image {number}: an object has "data" and may have a string "name"')
    if not isinstance(data, str):
        raise invalid(f"image {number} is neither a base64 string nor an object with one")
    return Picture(name[:LONGEST], base64_bytes(data, f"image {number}"))


def _json_option(name: str, value: Any) -> str:
    """Return an option as text; a box may be an object as in the response."""
    if name == "box" and isinstance(value, dict):
        value = ",".join(str(value.get(side)) for side in ("x", "y", "width", "height"))
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not isinstance(value, str) and not (name == "top" and whole):
        raise invalid(f"{name} must be a {'number' if name == 'top' else 'string'}")
    return str(value)[:LONGEST]


def too_many(number: int, most: int) -> RejectedError:
    """Return the rejection of a request with more than ``most`` images."""
    return RejectedError(413, "count", f"the request has {number} images; the limit is {most}")


@dataclass(slots=True)
class _Part:
    """A part of a form during parsing."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    header: bytes = b""
    value: bytes = b""
    spans: list[bytes] = field(default_factory=list)


class _Form:
    """Collect the parts of a form in memory; images are never written to disk."""

    def __init__(self, most: int) -> None:
        self.most, self.ended = most, False
        self.parts: list[_Part] = []

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= self.most + len(OPTIONS):
            raise too_many(len(self.parts) + 1, self.most)
        self.parts.append(_Part())

    def _field(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].header += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].value += data[start:end]

    def _header(self) -> None:
        part = self.parts[-1]
        part.headers[part.header.lower()] = part.value
        part.header = part.value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].spans.append(data[start:end])

    def _end(self) -> None:
        self.ended = True


def _form(content_type: str, body: bytes, most: int) -> tuple[list[Picture], dict[str, str]]:
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise RejectedError(400, "malformed", "the form's content type has no boundary")
    form = _Form(most)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError) as error:
        raise RejectedError(400, "malformed", f"the form is malformed: {error}") from error
    if not form.ended:
        raise RejectedError(400, "malformed", "the form data is truncated")
    pictures: list[Picture] = []
    options: dict[str, str] = {}
    for part in form.parts:
        kind, names = parse_options_header(part.headers.get(b"content-disposition", b""))
        data = b"".join(part.spans)
        name = names.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data":
            raise RejectedError(400, "malformed", "a part of the form has no content disposition")
        if b"filename" in names:
            file = names[b"filename"].decode("utf-8", "replace")
            pictures.append(Picture(file[:LONGEST] or f"image {len(pictures) + 1}", data))
        elif name in OPTIONS:
            options[name] = data[:LONGEST].decode("utf-8", "replace").strip()
        else:
            raise invalid(
                f"field '{name[:LONGEST]}' is neither an option ({', '.join(OPTIONS)}) nor a file, "
                "which has a file name; with curl, write -F images=@FILE"
            )
    if len(pictures) > most:
        raise too_many(len(pictures), most)
    return pictures, options
