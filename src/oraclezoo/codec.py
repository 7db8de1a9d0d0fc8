"""Convert frozen records to and from JSON data.

A record is a dataclass whose fields are JSON values, paths, tuples, mappings and other records. A
nested record with ``to_json`` and ``from_json``, or ``to_dict`` and ``from_dict``, converts itself.
The metadata entry ``json`` of a field sets its name in JSON.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

Record = TypeVar("Record")

Document = Mapping[str, Any]
"""A JSON object that a record stores unchanged; the module that wrote it also reads it."""


_SCALARS = (bool, int, float, str, types.NoneType)


def encode(record: Any) -> dict[str, Any]:
    """Return a record as JSON data.

    A field that is None or empty is omitted if its default is the same.
    """
    return {
        _name(field): _encoded(value)
        for field in dataclasses.fields(record)
        if not _is_omitted(field, value := getattr(record, field.name))
    }


def _encoded(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    for method in ("to_json", "to_dict"):
        if hasattr(value, method):
            return getattr(value, method)()
    if dataclasses.is_dataclass(value):
        return encode(value)
    if isinstance(value, Mapping):
        return {key: _encoded(item) for key, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, (tuple, list)) else value


def decode(kind: type[Record], document: Any) -> Record:
    """Decode JSON data from :func:`encode` into a record of a class.

    Unknown entries are ignored. A missing entry gets the default of its field; without a default it
    becomes None or an empty tuple, if its type permits this.

    Raises:
        KeyError: An entry is missing.
        TypeError: A value has the wrong type.
        ValueError: The record rejects a value.
    """
    _require(dict, document)
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]  # classes can be hashed
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # a dataclass
        if _name(field) in document:
            values[field.name] = _decoded(hints[field.name], document[_name(field)])
        elif dataclasses.MISSING is field.default is field.default_factory:
            values[field.name] = _missing(hints[field.name], _name(field))
    return kind(**values)


def _name(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("json", field.name))


def _is_omitted(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return not value and not field.default_factory()
    return bool(field.default == value and value in (None, ()))


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decoded(kind: Any, value: Any) -> Any:
    """Return a JSON value as an instance of the annotated type ``kind``."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return value if value is None else _of_union(arguments, value)
    if kind is Path:
        return Path(value)
    for method in ("from_json", "from_dict"):
        if hasattr(kind, method):
            return getattr(kind, method)(value)
    if dataclasses.is_dataclass(kind):
        return decode(kind, value)  # type: ignore[arg-type]  # a class
    if origin is tuple:
        _require(list, value)
        kinds = [arguments[0]] * len(value) if arguments[1:] == (...,) else arguments
        return tuple(_decoded(each, item) for each, item in zip(kinds, value, strict=True))
    if origin in (Mapping, dict):
        _require(dict, value)
        return {key: _decoded(arguments[1], item) for key, item in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if kind in _SCALARS:
        _require(kind, value)
    return value


def _of_union(kinds: tuple[Any, ...], value: Any) -> Any:
    """Decode a value of a union type; at most one member of the union is not a JSON value."""
    if type(value) in kinds:
        return value
    if type(value) is int and float in kinds:
        return float(value)
    others = [kind for kind in kinds if kind not in _SCALARS]
    if not others:
        raise TypeError(f"{value!r} is not {' or '.join(each.__name__ for each in kinds)}")
    return _decoded(others[0], value)


def _missing(kind: Any, name: str) -> Any:
    if types.NoneType in typing.get_args(kind):
        return None
    if typing.get_origin(kind) is tuple and typing.get_args(kind)[1:] == (...,):
        return ()
    raise KeyError(name)


def _require(kind: type, value: Any) -> None:
    if type(value) is not kind:
        raise TypeError(f"{str(value)[:80]!r} is not {kind.__name__}")
