"""Result documents: round trip, validation, files."""

from __future__ import annotations

import copy
import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.errors import ResultError
from oraclezoo.result import (
    ComponentRecord,
    Failure,
    Hardware,
    ModelSize,
    PredictionsFile,
    RecipeRecord,
    Result,
    SeedScore,
    Track,
    data_key,
    make_id,
    timestamp,
)
from oraclezoo.result.check import MAX_FILE_BYTES, SCHEMA_FILE, digest, surely_fits, validate

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
qualified = st.builds("{}:{}".format, names, names)
lines = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp")), min_size=1, max_size=30
)
texts = st.text(max_size=40)  # control characters and lone surrogates among them
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
counts = st.integers(1, 2**53 - 1)
shares = st.floats(0, 1)
amounts = st.floats(0, 1e12)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
contents = st.dictionaries(
    texts,
    st.recursive(leaves, lambda s: st.lists(s) | st.dictionaries(texts, s), max_leaves=5).filter(
        lambda value: "Infinity" not in json.dumps(value)
    ),
    max_size=4,
)


@st.composite
def results(draw: st.DrawFn) -> Result:
    """Draw any valid result."""
    seed_numbers = draw(st.lists(st.integers(0, 2**53 - 1), unique=True, max_size=4))
    failures = draw(
        st.lists(
            st.builds(
                Failure,
                st.integers(0, 100),
                st.sampled_from(["diverged", "killed", "out-of-memory"]),
                texts,
            ),
            min_size=0 if seed_numbers else 1,
            max_size=2,
        )
    )
    division = draw(st.sampled_from(["closed", "open"]))
    train, test, classes = draw(st.integers(1, 10**6)), draw(counts), draw(st.integers(2, 1000))
    most = 50 * train if division == "closed" else 2**53 - 1
    content = draw(contents)
    memory = st.none() | counts
    return Result(
        id=draw(names),
        created=draw(st.just(timestamp()) | st.just("2026-02-28T23:59:59.125+00:00")),
        oraclezoo=draw(lines),
        code_sha256=draw(digests),
        protocol=1,
        command=draw(texts),
        track=Track(
            draw(names | qualified),
            division,
            draw(st.booleans()),
            classes,
            draw(counts),
            train,
            draw(st.integers(0, 10**6)),
            test,
            draw(st.dictionaries(lines, digests, min_size=1, max_size=3)),
        ),
        recipe=RecipeRecord(
            draw(names), digest(content), draw(texts), draw(st.booleans()), content
        ),
        components={
            kind: draw(st.builds(ComponentRecord, qualified, names, lines))
            for kind in ("backbone", "optimizer", "scheduler", "dataset")
        },
        examples=draw(st.integers(0, most)),
        seeds=tuple(
            SeedScore(
                seed,
                draw(shares),
                draw(amounts),
                draw(st.none() | shares),
                draw(amounts),
                draw(amounts),
                draw(counts),
                draw(memory),
            )
            for seed in seed_numbers
        ),
        failures=tuple(failures),
        model=draw(st.none() | st.builds(ModelSize, counts, counts, counts)),
        latency=tuple(
            LatencyRow(draw(lines), draw(lines), "cpu", 1, draw(counts), draw(counts), *times)
            for times in draw(st.lists(st.lists(amounts, min_size=3, max_size=3).map(sorted)))
        ),
        hardware=Hardware(
            "cpu-2t", draw(lines), draw(memory), draw(lines), 2, 2, draw(counts), "Linux",
            draw(st.none() | amounts),
        ),
        libraries={"python": "3.11.0", **draw(st.dictionaries(lines, lines, max_size=3))},
        predictions=PredictionsFile(f"{draw(names)}.safetensors", draw(digests), test, classes)
        if seed_numbers
        else None,
    )  # fmt: skip


def example() -> dict[str, Any]:
    """Return a valid document for the tests to break."""
    content = {"backbone": {"name": "oraclezoo:lenet5", "options": {}}, "epochs": 15}
    component = {"name": "oraclezoo:x", "distribution": "oraclezoo", "version": "0.1.0"}
    return {
        "schema": "oraclezoo/result/1",
        "id": "glyphs-3k-default-0123456789ab-cpu-2t",
        "created": "2026-01-31T12:00:00Z",
        "oraclezoo": "0.1.0",
        "code_sha256": "ab" * 32,
        "protocol": 1,
        "command": "oraclezoo bench default",
        "track": {
            "name": "glyphs-3k",
            "division": "closed",
            "synthetic": True,
            "classes": 10,
            "image_size": 28,
            "train": 1800,
            "validation": 200,
            "test": 1000,
            "data_sha256": {"generated": "cd" * 32},
        },
        "recipe": {
            "name": "default",
            "hash": digest(content),
            "summary": "",
            "refit": False,
            "content": content,
        },
        "components": dict.fromkeys(("backbone", "optimizer", "scheduler", "dataset"), component),
        "examples": 90_000,
        "seeds": [
            {
                "seed": 0,
                "accuracy": 0.9,
                "loss": 0.3,
                "validation_accuracy": 0.91,
                "train_s": 12.5,
                "compile_s": 0.0,
                "steps": 350,
                "peak_memory_bytes": None,
            }
        ],
        "failures": [{"seed": 1, "reason": "diverged", "message": "loss is nan"}],
        "model": {"parameters": 1, "macs": 1, "size_bytes": 1},
        "latency": [
            {
                "runtime": "eager",
                "precision": "fp32",
                "device": "cpu",
                "threads": 1,
                "batch_size": 1,
                "repeats": 30,
                "p50_ms": 0.5,
                "p95_ms": 0.6,
                "p99_ms": 0.7,
            }
        ],
        "hardware": {
            "class": "cpu-2t",
            "device": "CPU",
            "device_memory_bytes": None,
            "cpu": "CPU",
            "cores": 2,
            "threads": 2,
            "memory_bytes": 2**33,
            "platform": "Linux x86_64",
            "calibration_s": 0.1,
        },
        "libraries": {"python": "3.11.0"},
        "predictions": {
            "file": "x.safetensors",
            "sha256": "ef" * 32,
            "images": 1000,
            "classes": 10,
        },
    }


def broken(where: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Return the example with one field replaced or added."""
    document = copy.deepcopy(example())
    node: Any = document
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = value
    return document


def every_object(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all objects with fixed keys in a document."""
    actual: list[tuple[str | int, ...]] = []
    if isinstance(node, dict):
        if path not in (("track", "data_sha256"), ("recipe", "content"), ("libraries",)):
            actual.append(path)
        for key, item in node.items():
            if key != "content":
                actual += every_object(item, (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            actual += every_object(item, (*path, index))
    return actual


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(results())
def test_file_and_back_changes_nothing(tmp_path: Path, result: Result) -> None:
    """A saved result loads equal, for any texts and numbers."""
    path = result.save(tmp_path)
    assert path == tmp_path / f"{result.id}.json"
    loaded = Result.load(path)
    assert loaded == result
    assert loaded.path == path
    assert loaded.to_json_dict() == json.loads(path.read_text())


def test_schema_is_a_valid_schema_and_describes_every_field() -> None:
    """The schema is Draft 2020-12, rejects unknown keys and describes each field."""
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)

    def walk(node: dict[str, Any], where: str) -> None:
        for name, field in node.get("properties", {}).items():
            assert field.get("description"), f"{where}.{name}"
            walk(field, f"{where}.{name}")
        if "properties" in node:
            assert node["additionalProperties"] is False, where
        if isinstance(node.get("items"), dict):
            walk(node["items"], f"{where}[]")

    walk(schema, "result")
    walk(schema["$defs"]["component"], "component")


def test_the_example_is_valid() -> None:
    """The document that the tests below break is valid."""
    validate(example())


@pytest.mark.parametrize("where", every_object(example()), ids=lambda p: ".".join(map(str, p)))
def test_unknown_keys_are_refused(where: tuple[str | int, ...]) -> None:
    """Unknown keys are rejected by name in every object."""
    with pytest.raises(ResultError, match="surprise"):
        validate(broken((*where, "surprise"), 1))


@pytest.mark.parametrize("where", every_object(example()), ids=lambda p: ".".join(map(str, p)))
def test_missing_keys_are_refused(where: tuple[str | int, ...]) -> None:
    """In every object each key is required."""
    node: Any = example()
    for key in where:
        node = node[key]
    for removed in node:
        document = copy.deepcopy(example())
        target: Any = document
        for key in where:
            target = target[key]
        del target[removed]
        with pytest.raises(ResultError, match=removed):
            validate(document)


@pytest.mark.parametrize(
    ("where", "value", "field"),
    [
        (("seeds", 0, "accuracy"), 1.01, "seeds[0].accuracy"),
        (("seeds", 0, "accuracy"), math.nan, "seeds[0].accuracy"),
        (("seeds", 0, "accuracy"), "0.9", "seeds[0].accuracy"),
        (("seeds", 0, "loss"), math.inf, "seeds[0].loss"),
        (("seeds", 0, "seed"), True, "seeds[0].seed"),
        (("seeds", 0, "seed"), 1.0, "seeds[0].seed"),
        (("seeds", 0, "train_s"), -1, "seeds[0].train_s"),
        (("seeds", 0, "train_s"), 10**400, "seeds[0].train_s"),
        (("recipe", "content", "deep"), [{"x": math.nan}], "recipe.content.deep[0].x"),
        (("recipe", "content", "epochs"), 16, "recipe.hash"),
        (("recipe", "hash"), "AB" * 32, "recipe.hash"),
        (("protocol",), 2, "protocol"),
        (("schema",), "oraclezoo/result/2", "schema"),
        (("id",), "../../etc/passwd", "id"),
        (("id",), "a\n", "id"),
        (("predictions", "file"), "../x.safetensors", "predictions.file"),
        (("predictions", "file"), "x.pickle", "predictions.file"),
        (("predictions", "images"), 999, "predictions.images"),
        (("predictions", "classes"), 11, "predictions.classes"),
        (("predictions",), None, "predictions"),
        (("seeds",), [], "predictions"),
        (("created",), "yesterday", "created"),
        (("created",), "2026-13-01T00:00:00Z", "created"),
        (("hardware", "device"), "CPU\x1b[31m", "hardware.device"),
        (("components", "backbone", "name"), "bare", "components.backbone.name"),
        (("track", "division"), "ajar", "track.division"),
        (("track", "data_sha256"), {}, "track.data_sha256"),
        (("examples",), 50 * 1800 + 1, "examples"),
        (("latency", 0, "p95_ms"), 0.8, "latency[0]"),
        (("libraries",), {"torch": "2.9"}, "libraries"),
    ],
)
def test_a_broken_field_is_named(where: tuple[str | int, ...], value: Any, field: str) -> None:
    """The error is one line that begins with the field."""
    with pytest.raises(ResultError) as caught:
        validate(broken(where, value))
    assert str(caught.value).startswith(field)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_seed_counts_once() -> None:
    """A repeated seed would narrow every interval."""
    document = example()
    document["seeds"] *= 2
    with pytest.raises(ResultError, match="twice"):
        validate(document)


def test_a_result_of_failures_alone_is_valid() -> None:
    """Predictions and model are optional then; a result without seeds and failures is invalid."""
    document = example() | {"seeds": [], "predictions": None, "model": None}
    assert Result.from_json_dict(document).seeds == ()
    with pytest.raises(ResultError, match="seeds"):
        validate(document | {"failures": []})


def test_refit_has_the_validation_images_in_its_budget() -> None:
    """The budget of fifty epochs counts all images that are trained on."""
    document = broken(("recipe", "refit"), True)
    validate(document | {"examples": 50 * 2000})
    with pytest.raises(ResultError, match="closed division allows 100000"):
        validate(document | {"examples": 50 * 2000 + 1})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"backbone": {"name": "a", "options": {"pretrained": True}}}, "uses pretrained weights"),
        ({"pretrain": {"epochs": 1, "track": "glyphs-3k"}}, "pre-trained on another track"),
        ({"distill": {"teachers": 1}}, "teachers"),
    ],
)
def test_the_closed_division_is_from_scratch_and_of_one_model(
    content: dict[str, Any], why: str
) -> None:
    """Pretraining, distillation and pretrained weights require the open division."""
    recipe = {**example()["recipe"], "content": content, "hash": digest(content)}
    with pytest.raises(ResultError, match=rf"track\.division.*{why}"):
        validate(example() | {"recipe": recipe})
    track = {**example()["track"], "division": "open"}
    validate(example() | {"recipe": recipe, "track": track})


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1, 2]", b'"x"', b"\xff\xfe", b'{"schema": NaN}', b"[" * 100_000, b"1" * 5000],
)
def test_a_broken_file_is_named(tmp_path: Path, text: bytes) -> None:
    """The one-line error names the file."""
    path = tmp_path / "odd.json"
    path.write_bytes(text)
    with pytest.raises(ResultError, match=r"odd\.json") as caught:
        Result.load(path)
    assert "\n" not in str(caught.value)


def test_a_field_of_a_file_is_named_with_the_file(tmp_path: Path) -> None:
    """One line names the file, the field and the fault."""
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(broken(("seeds", 0, "accuracy"), 2)))
    with pytest.raises(ResultError, match=r"odd\.json: seeds\[0\]\.accuracy: 2 is greater"):
        Result.load(path)


def test_a_number_too_large_for_a_float_is_refused(tmp_path: Path) -> None:
    """1e999 is parsed as infinity and rejected, even in free-form content."""
    path = tmp_path / "odd.json"
    text = json.dumps(example())
    path.write_text(text.replace('"epochs": 15', '"epochs": 1e999'))
    with pytest.raises(ResultError, match=r"recipe\.content\.epochs is inf"):
        Result.load(path)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    """Deep nesting raises ResultError instead of RecursionError."""
    path = tmp_path / "odd.json"
    deep = "[" * 900 + "]" * 900
    path.write_text(json.dumps(example()).replace('"epochs": 15', f'"epochs": {deep}'))
    with pytest.raises(ResultError, match=r"odd\.json"):
        Result.load(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """A file larger than any result is not read."""
    path = tmp_path / "odd.json"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ResultError, match="larger"):
        Result.load(path)


def test_nothing_invalid_is_written(tmp_path: Path) -> None:
    """An invalid result leaves no file, not even a partial one."""
    good = Result.from_json_dict(example())
    bad = Result(**{f: getattr(good, f) for f in good.__dataclass_fields__} | {"examples": -1})
    with pytest.raises(ResultError, match="examples"):
        bad.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_replaces_whole_files_only(tmp_path: Path) -> None:
    """Saving again replaces the file atomically."""
    result = Result.from_json_dict(example())
    result.save(tmp_path)
    result.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{result.id}.json"]


def test_ids_fit_file_names() -> None:
    """Any parts give an id that the schema accepts."""
    actual = make_id("dist:my/track", "default", "0123456789abcdef" * 4, "nvidia-h200")
    assert actual == "dist-my-track-default-0123456789ab-nvidia-h200"
    validate(example() | {"id": actual})


def test_data_key_ignores_order_and_sees_bytes() -> None:
    """Equal files give equal keys in any order; other digests or names do not."""
    assert data_key({"a": "1", "b": "2"}) == data_key({"b": "2", "a": "1"})
    assert data_key({"a": "1", "b": "2"}) != data_key({"a": "2", "b": "1"})


def test_the_room_is_light() -> None:
    """The package imports neither jsonschema nor numerical libraries."""
    code = (
        "import sys, oraclezoo.result; "
        "print([m for m in ('jsonschema', 'numpy', 'scipy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def worn(rows: int) -> dict[str, Any]:
    """Return corruption scores for a number of seeds."""
    table = [[0.9, 0.8, 0.7, 0.6, 0.5]] * rows
    names = ("grain", "blur")
    return {
        "version": "1",
        "seed": 0,
        "corruptions": [{"name": name, "accuracy": table} for name in names],
    }


def test_robustness_is_absent_unless_it_was_measured() -> None:
    """A document without corruption scores has no such key; one with them loads equal."""
    plain = Result.from_json_dict(example())
    assert plain.robustness is None
    assert plain.to_json_dict() == example()
    result = Result.from_json_dict(broken(("robustness",), worn(1)))
    assert result.robustness is not None
    assert result.robustness.mean_accuracy == pytest.approx(0.7)
    assert Result.from_json_dict(result.to_json_dict()) == result


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (worn(2), "robustness.corruptions[0].accuracy"),
        ({**worn(1), "corruptions": []}, "robustness.corruptions"),
        ({**worn(1), "more": 1}, "robustness"),
        (None, "robustness"),
    ],
)
def test_robustness_that_does_not_fit_is_refused(value: Any, field: str) -> None:
    """A row per seed and five severities are required; unknown keys and null are not allowed."""
    with pytest.raises(ResultError, match=re.escape(field)):
        validate(broken(("robustness",), value))


def test_what_surely_fits_is_what_jsonschema_accepts() -> None:
    """The fast path for numbers accepts nothing that the schema rejects."""
    values = [0, 1, -1, 5, 0.0, 0.5, 1.0, 5.0, -0.5, 2**60, 1e300, math.nan, math.inf, True, False]
    plain = [
        {"type": kind, **bounds}
        for kind in ("number", "integer", "boolean", "string", ["integer", "null"])
        for bounds in ({}, {"minimum": 0}, {"minimum": 0, "maximum": 1}, {"minLength": 2})
    ]
    count = 0
    for schema, value in itertools.product(plain, [*values, None, "x", [], {}]):
        if surely_fits(value, schema):
            count += 1
            assert Draft202012Validator(schema).is_valid(value), (schema, value)
            assert isinstance(value, bool) == (schema["type"] == "boolean")
    assert count > 20
