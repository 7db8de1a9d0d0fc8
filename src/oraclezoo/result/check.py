"""Validate result documents with the JSON Schema and cross-field checks."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from oraclezoo.documents import checked, read_file
from oraclezoo.errors import ResultError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

SCHEMA = "oraclezoo/result/1"
SCHEMA_FILE = Path(__file__).parent / "schemas" / "result-1.json"
CLOSED_EPOCHS = 50
"""Training budget of the closed division: maximum number of epochs over the training images."""
_PLAIN_KEYS = {"description", "type", "minimum", "maximum"}
_NUMBERS: Mapping[str, tuple[type, ...]] = {"number": (int, float), "integer": (int,)}
LARGEST = 2**1000
"""Largest integer allowed in a result, so that every integer fits into a float."""
MAX_FILE_BYTES = 32 * 2**20
"""Maximum size of a result file; larger files are rejected without reading."""


def validate(document: Any) -> None:
    """Validate a result document.

    Applies the JSON Schema, and also checks that every number is finite, that the hash of the
    recipe matches its content, and that the fields are consistent with each other.

    Raises:
        ResultError: The document is invalid; the message is one line that names the field.
    """
    fault = schema_fault(document, SCHEMA, SCHEMA_FILE)
    if fault:
        raise ResultError(fault)
    for where, problem in _disagreements(document):
        raise ResultError(f"{where}: {problem}")


def schema_fault(document: Any, schema: str, file: Path) -> str:
    """Return why ``document`` violates ``schema``, in one line that names the field, or "".

    ``file`` names the JSON Schema. Numbers must be finite.
    """
    if not isinstance(document, Mapping) or "schema" not in document:
        kind = schema.split("/")[1]
        return f"not a {kind} document: the key 'schema' with '{schema}' is missing"
    if document["schema"] != schema:
        return f"schema is {_short(document['schema'])}; this oraclezoo reads '{schema}'"
    for where, number in _numbers(document, ""):
        if not math.isfinite(number):
            return f"{where} is {number}; it must be finite"
    first = min(_validator(file).iter_errors(document), key=lambda e: e.json_path, default=None)
    return "" if first is None else _explain(first)


def read_json(path: Path) -> Any:
    """Read an untrusted JSON file. Raises ResultError."""
    try:
        content = read_file(path, MAX_FILE_BYTES)
    except OSError as error:
        raise ResultError(f"result {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ResultError(f"result {path}: {error}; not a valid result file") from error
    try:
        return checked(json.loads(content, parse_constant=_refuse_constant), LARGEST)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"result {path}: not JSON: {error}; create it again") from error


@cache
def _validator(file: Path) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    stock = Draft202012Validator.VALIDATORS

    def items(validator: Any, schema: Any, values: Any, parent: Any) -> Any:
        if not (isinstance(values, list) and all(surely_fits(value, schema) for value in values)):
            yield from stock["items"](validator, schema, values, parent)

    def properties(validator: Any, schemas: Any, value: Any, parent: Any) -> Any:
        if isinstance(value, dict):  # fast path: jsonschema is slow, and most values are numbers
            schemas = {
                key: schema
                for key, schema in schemas.items()
                if key in value and not surely_fits(value[key], schema)
            }
        yield from stock["properties"](validator, schemas, value, parent)

    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )  # in JSON Schema, 5.0 is an integer too
    quick = {"items": items, "properties": properties}
    strict = extend(Draft202012Validator, quick, type_checker=checker)  # type: ignore[no-untyped-call]  # the stubs leave it untyped
    validator: Validator = strict(json.loads(file.read_text(encoding="utf-8")))
    return validator


def surely_fits(value: Any, schema: Any) -> bool:
    """Return whether a number or boolean satisfies a schema that has only a type and bounds.

    If the result is False, jsonschema must decide.
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
    """Yield (field, fault) for each failed cross-field check; the schema cannot express these."""
    track, recipe, seeds = document["track"], document["recipe"], document["seeds"]
    try:
        datetime.fromisoformat(document["created"])
    except ValueError as error:
        yield "created", str(error)
    if recipe["hash"] != digest(recipe["content"]):
        yield "recipe.hash", "does not match recipe.content"
    numbers = [row["seed"] for row in seeds]
    if len(set(numbers)) != len(numbers):
        yield "seeds", "contains a seed twice"
    if not seeds and not document["failures"]:
        yield "seeds", "there are neither seeds nor failures"
    if bool(seeds) != (document["predictions"] is not None):
        yield "predictions", "must be null if and only if there are no seeds"
    for key, count in (("images", track["test"]), ("classes", track["classes"])):
        if seeds and document["predictions"][key] != count:
            yield f"predictions.{key}", f"must be {count}, as in the track"
    budget = CLOSED_EPOCHS * (track["train"] + recipe["refit"] * track["validation"])
    if track["division"] == "closed" and document["examples"] > budget:
        yield "examples", f"the closed division allows {budget} ({CLOSED_EPOCHS} epochs)"
    reason = beyond_closed(recipe["content"])
    if track["division"] == "closed" and reason:
        yield "track.division", f"must be open: {reason}"
    for index, one in enumerate(document.get("robustness", {}).get("corruptions", ())):
        if len(one["accuracy"]) != len(seeds):
            yield f"robustness.corruptions[{index}].accuracy", f"must have {len(seeds)} rows"
    for index, row in enumerate(document["latency"]):
        if not row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]:
            yield f"latency[{index}]", "percentiles are not in ascending order"


def beyond_closed(content: Any) -> str:
    """Return why the closed division forbids a recipe, regardless of its budget, or "".

    ``content`` is the return value of ``Recipe.canonical()``, or untrusted JSON.
    """
    if _at(content, "backbone", "options", "pretrained"):
        return "the backbone uses pretrained weights"
    if _at(content, "pretrain", "epochs"):
        return "the model is pre-trained on another track"
    if _at(content, "distill", "teachers"):
        return "the model is distilled from teachers"
    if _at(content, "compress", "distill"):
        return "fine-tuning uses distillation"
    return ""


def _at(content: Any, *keys: str) -> Any:
    """Return a nested value, or None if a key is missing or a level is not a mapping."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def digest(content: Any) -> str:
    """Return the SHA-256 (hex) of canonical JSON (sorted keys, no spaces), like ``Recipe.hash``."""
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=list
    )  # same as in Recipe.hash
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
