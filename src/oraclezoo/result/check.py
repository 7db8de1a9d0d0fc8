"""Validation of a result document: the published JSON Schema, and what a schema cannot say."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from oraclezoo.errors import ResultError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

SCHEMA = "oraclezoo/result/1"
SCHEMA_FILE = Path(__file__).parent / "schemas" / "result-1.json"
CLOSED_EPOCHS = 50
"""The closed division's budget: this many epochs' worth of examples."""
_PLAIN_KEYS = {"description", "type", "minimum", "maximum"}
_NUMBERS: Mapping[str, tuple[type, ...]] = {"number": (int, float), "integer": (int,)}
MAX_FILE_BYTES = 32 * 2**20
"""A larger file is refused unread."""


def validate(document: Any) -> None:
    """Raise ResultError, one line that names the field, unless ``document`` is a valid result.

    Beyond the JSON Schema: every number is finite, the recipe's hash is that of its content, and
    the parts agree with each other.
    """
    fault = schema_fault(document, SCHEMA, SCHEMA_FILE)
    if fault:
        raise ResultError(fault)
    for where, what in _disagreements(document):
        raise ResultError(f"{where}: {what}")


def schema_fault(document: Any, schema: str, file: Path) -> str:
    """What keeps ``document`` from being one of ``schema``, in one line that names the field.

    ``file`` holds the JSON Schema; every number must be finite. "" if it is one.
    """
    if not isinstance(document, Mapping) or "schema" not in document:
        kind = schema.split("/")[1]
        return f"not a {kind} document: there is no 'schema' of '{schema}'"
    if document["schema"] != schema:
        return f"schema is {_short(document['schema'])}; this oraclezoo reads '{schema}'"
    for where, number in _numbers(document, ""):
        if not math.isfinite(number):
            return f"{where} is {number}; it must be finite"
    first = min(_validator(file).iter_errors(document), key=lambda e: e.json_path, default=None)
    return "" if first is None else _explain(first)


def read_json(path: Path) -> Any:
    """The JSON value in a file from anywhere. Raises ResultError."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ResultError(f"result {path}: larger than {MAX_FILE_BYTES} bytes; not a result")
        return json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise ResultError(f"result {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"result {path}: not JSON: {error}; make it again") from error


@cache
def _validator(file: Path) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    stock = Draft202012Validator.VALIDATORS

    def items(validator: Any, schema: Any, values: Any, parent: Any) -> Any:
        if not (isinstance(values, list) and all(surely_fits(value, schema) for value in values)):
            yield from stock["items"](validator, schema, values, parent)

    def properties(validator: Any, schemas: Any, value: Any, parent: Any) -> Any:
        if isinstance(value, dict):  # most of a result is numbers: a schema's machinery is slow
            schemas = {
                key: schema
                for key, schema in schemas.items()
                if key in value and not surely_fits(value[key], schema)
            }
        yield from stock["properties"](validator, schemas, value, parent)

    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )  # the standard also calls 5.0 an integer
    quick = {"items": items, "properties": properties}
    strict = extend(Draft202012Validator, quick, type_checker=checker)  # type: ignore[no-untyped-call]  # the stubs leave it untyped
    validator: Validator = strict(json.loads(file.read_text(encoding="utf-8")))
    return validator


def surely_fits(value: Any, schema: Any) -> bool:
    """Whether a number or a truth value plainly fits a schema of type and bounds alone.

    False leaves the question to jsonschema, which also says what is wrong.
    """
    if not isinstance(schema, dict) or not schema.keys() <= _PLAIN_KEYS:
        return False
    kind = schema.get("type")
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, _NUMBERS.get(str(kind), ())):
        return False
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    return bool(low <= value <= high)


def _disagreements(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Field and fault of what the schema cannot say."""
    track, recipe, seeds = document["track"], document["recipe"], document["seeds"]
    try:
        datetime.fromisoformat(document["created"])
    except ValueError as error:
        yield "created", str(error)
    if recipe["hash"] != digest(recipe["content"]):
        yield "recipe.hash", "is not the hash of recipe.content"
    numbers = [row["seed"] for row in seeds]
    if len(set(numbers)) != len(numbers):
        yield "seeds", "a seed is there twice"
    if not seeds and not document["failures"]:
        yield "seeds", "there is neither a seed nor a failure"
    if bool(seeds) != (document["predictions"] is not None):
        yield "predictions", "must be null without seeds, and must be there with them"
    for key, count in (("images", track["test"]), ("classes", track["classes"])):
        if seeds and document["predictions"][key] != count:
            yield f"predictions.{key}", f"must be the track's {count}"
    budget = CLOSED_EPOCHS * (track["train"] + recipe["refit"] * track["validation"])
    if track["division"] == "closed" and document["examples"] > budget:
        yield "examples", f"the closed division allows {budget}, {CLOSED_EPOCHS} epochs' worth"
    beyond = beyond_closed(recipe["content"])
    if track["division"] == "closed" and beyond:
        yield "track.division", f"must be open: {beyond}"
    for index, one in enumerate(document.get("robustness", {}).get("corruptions", ())):
        if len(one["accuracy"]) != len(seeds):
            yield f"robustness.corruptions[{index}].accuracy", f"must have {len(seeds)} rows"
    for index, row in enumerate(document["latency"]):
        if not row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]:
            yield f"latency[{index}]", "its percentiles are not in order"


def beyond_closed(content: Any) -> str:
    """What keeps a recipe out of the closed division, whatever its budget; "" if nothing does.

    ``content`` is that of ``Recipe.canonical()``, or anybody's JSON.
    """
    if _at(content, "backbone", "options", "pretrained"):
        return "the backbone starts from weights learned elsewhere"
    if _at(content, "pretrain", "epochs"):
        return "the net learns another track first"
    if _at(content, "distill", "teachers"):
        return "it learns from teachers, and one model is trained there"
    if _at(content, "compress", "distill"):
        return "its fine-tuning learns from a teacher"
    return ""


def _at(content: Any, *keys: str) -> Any:
    """A value inside nested mappings; None where something is no mapping or lacks the key."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def digest(content: Any) -> str:
    """SHA-256 (hex) of canonical JSON: keys sorted, no blanks. A recipe's hash is one."""
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=list
    )  # as Recipe.hash has it
    return hashlib.sha256(text.encode()).hexdigest()


def _numbers(value: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{where}[{index}]")


def _explain(error: ValidationError) -> str:
    where = error.json_path.removeprefix("$").lstrip(".") or "the document"
    if error.validator in ("not", "pattern"):
        return f"{where}: {_short(error.instance)} has a character or form that is not allowed"
    return f"{where}: {_short(error.message, quote=False)}"


def _short(value: object, *, quote: bool = True) -> str:
    text = " ".join((repr(value) if quote else str(value)).split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 160 else text[:157] + "..."


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a finite number")
