"""Markdown generated from oraclezoo itself: recipes, components, result schema.

Imports only lightweight modules, so that pages build without torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import architecture_page
import audit_page
import board_page
import cli_pages
import conformance_page
import drawing_page
import first_minute
import measured_clusters
import measured_compressible
import measured_compression
import measured_convert
import measured_engine
import measured_executors
import measured_faults
import measured_finetuning
import measured_glyphs
import measured_image
import measured_memory
import measured_predict
import measured_saturation
import measured_search
import measured_seeds
import measured_serving
import measured_speed
import measured_torch
import measured_unknown
import models_page
import monitoring_page
import notebooks
import sheets
from measured import table

import oraclezoo
from oraclezoo import errors, recipe
from oraclezoo.plugins.host import build_host
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import sections, suite
from oraclezoo.result.check import SCHEMA_FILE
from oraclezoo.specs import Kind, Option

PACKAGE = Path(oraclezoo.__file__).parent


def recipe_keys() -> str:
    """Return a table of keys for each fixed section of a recipe."""
    parts = []
    for name, section in sections.SECTIONS.items():
        parts += [f"### `[{name}]`", "", plain(section.__doc__ or ""), ""]
        parts += [options(sections.keys(section).values(), "key")]
    return "\n".join(parts)


def recipes() -> str:
    """Return the text of the bundled recipes and suites."""
    parts = []
    for folder, names, kind in (
        (recipe.SHIPPED, recipe.shipped(), "recipe"),
        (suite.SHIPPED, suite.shipped(), "suite"),
    ):
        for name in names:
            text = (folder / f"{name}.toml").read_text(encoding="utf-8")
            parts += [f"### {kind} `{name}`", "", "```toml", text.rstrip(), "```", ""]
    return "\n".join(parts)


def backbones() -> str:
    """Return the built-in backbones with links to their pages."""
    return _names("backbone", "backbones")


def any_timm() -> str:
    """Return the section on arbitrary timm architectures."""
    anything = builtins().get("backbone", "timm/resnet18").spec
    note = (
        "## `timm/<architecture>`\n\n"
        "Any timm architecture with its original strides, e.g. `timm/resnet18`.\n"
    )
    return "\n".join([note, options(anything.options, "option")])


def optimizers() -> str:
    """Return the built-in optimizers with links to their pages."""
    return _names("optimizer", "optimizers")


def schedulers() -> str:
    """Return the built-in schedulers with links to their pages."""
    return _names("scheduler", "schedulers")


def trackers() -> str:
    """Return the built-in trackers with links to their pages."""
    return _names("tracker", "trackers")


def tracks() -> str:
    """Return a table of the built-in tracks."""
    rows = []
    for entry in builtins().entries("dataset"):
        facts, summary = entry.spec.facts, plain(entry.spec.summary)
        numbers = [_count(facts[split]) for split in ("train", "validation", "test")]
        marked = f"**synthetic**: {summary}" if facts["synthetic"] else summary
        rows.append([f"`{entry.spec.name}`", *numbers, plain(facts["needs"]), marked])
    return table(("track", "train", "validation", "test", "requires", "description"), rows)


def leaderboard_waiting() -> str:
    """Return the built-in tracks without committed results, with their requirements."""
    tracks = [entry.spec for entry in builtins().entries("dataset")]
    return board_page.waiting(tracks, board_page.results())


def result_fields() -> str:
    """Return a table of fields for each object of a result document, from the JSON Schema."""
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return "\n".join(_objects(schema, schema["$defs"], ""))


def api() -> str:
    """Return an autodoc directive for each public name."""
    lines = ["```{eval-rst}", ".. py:currentmodule:: oraclezoo", ""]
    for name in oraclezoo.__all__:
        if name.startswith("__"):
            continue
        is_class = name[0].isupper()
        lines.append(f".. auto{'class' if is_class else 'function'}:: {name}")
        lines += ["   :members:", ""] if is_class else [""]
    return "\n".join([*lines, "```"])


def error_classes() -> str:
    """Return a table of the exception classes with their exit statuses."""
    classes = [item for item in vars(errors).values() if _is_error(item)]
    rows = [
        [f"`{each.__name__}`", f"`{each.__base__.__name__}`", str(each.exit_code), _first(each)]
        for each in classes
    ]
    return table(("exception", "base class", "exit status", "meaning"), rows)


PAGES: dict[str, Callable[[], str]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        architecture_page.architecture_layers,
        architecture_page.architecture_benchmark,
        architecture_page.architecture_prediction,
        cli_pages.commands,
        recipe_keys,
        recipes,
        backbones,
        optimizers,
        schedulers,
        trackers,
        tracks,
        leaderboard_waiting,
        models_page.bundled_models,
        models_page.shipped_recipes,
        board_page.ranking_time,
        monitoring_page.monitoring_metrics,
        monitoring_page.monitoring_alerts,
        monitoring_page.monitoring_signals,
        notebooks.first_steps,
        first_minute.install_figures,
        first_minute.output_predict,
        first_minute.citation,
        result_fields,
        api,
        error_classes,
        conformance_page.conformance,
        drawing_page.drawing_page,
        measured_compressible.compressible,
        measured_compression.compression_pruned,
        measured_compression.compression_rounded,
        measured_compression.compression_chain,
        measured_compression.compression_mobile,
        measured_convert.convert_throughput,
        measured_executors.executors,
        measured_clusters.lost_nodes,
        measured_faults.faults,
        measured_finetuning.finetuning,
        measured_glyphs.glyphs_transfer,
        measured_glyphs.glyphs_ranking,
        measured_glyphs.glyphs_ranking_published,
        measured_image.image_size,
        measured_image.image_checks,
        measured_memory.streaming_ratio,
        measured_predict.predict_polarity,
        measured_predict.predict_jpeg,
        measured_predict.predict_files,
        measured_predict.predict_pictures,
        measured_unknown.predict_unknown,
        measured_unknown.predict_several,
        measured_predict.picture_augmentation,
        measured_saturation.saturation,
        measured_search.search_ablations,
        measured_search.search_default,
        measured_search.search_tiny,
        measured_search.search_speed,
        measured_seeds.seeds_at_once,
        measured_serving.serving_rivals,
        measured_serving.serving_ratios,
        measured_serving.serving_unpinned,
        measured_serving.serving_load,
        measured_serving.serving_claims,
        measured_serving.serving_drift,
        measured_speed.speed_contenders,
        measured_speed.speed_ratios,
        measured_speed.speed_time,
        measured_speed.speed_peak,
        measured_speed.speed_images,
        measured_speed.speed_widths,
        measured_speed.speed_accuracy,
        measured_speed.speed_other_script,
        measured_speed.speed_gpu,
        measured_torch.torch_receipts,
        measured_engine.engine_budget,
        measured_engine.engine_optimizers,
        measured_engine.engine_compile,
        measured_engine.engine_shifts,
        measured_engine.engine_measured_on,
        sheets.sheets,
        audit_page.audit_findings,
        audit_page.audit_cost,
        audit_page.corruptions,
        audit_page.corruption_accuracy,
    )
}
"""Functions whose output replaces a line ``% generated: NAME``."""


def fill_in(text: str) -> str:
    """Replace each ``% generated: NAME`` in a page. Raises KeyError for an unknown name."""
    return re.sub(r"^% generated: (.+)$", lambda match: PAGES[match[1]](), text, flags=re.MULTILINE)


def builtins() -> Registry:
    """Return the registry of built-in components, without installed plugins."""
    return Registry(build_host(disable="all").plugins)


def plain(text: str) -> str:
    """Escape ``text`` for Markdown."""
    return re.sub(r"([\\`*_\[\]<>|{}$~#])", r"\\\1", text.strip())


def _names(kind: Kind, folder: str) -> str:
    """Return the names of a kind of component with links to their pages."""
    names = [entry.spec.name for entry in builtins().entries(kind)]
    return ", ".join(f"[`{name}`](/reference/zoo/{folder}/{name}.md)" for name in names) + ".\n"


def options(declared: Iterable[Option], header: str) -> str:
    """Return a table of options, or a note that there are none."""
    rows = [
        [
            f"`{option.name}`",
            option.type,
            plain(value(option.default)),
            plain(_bounds(option)),
            plain(option.help),
        ]
        for option in declared
    ]
    return (
        table((header, "type", "default", "bounds", "meaning"), rows) if rows else "No options.\n"
    )


def _bounds(option: Option) -> str:
    if option.choices:
        return ", ".join(option.choices)
    ends = [("at least", option.low), ("at most", option.high)]
    return ", ".join(f"{word} {end:g}" for word, end in ends if end is not None)


def _objects(node: dict[str, Any], defs: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the table of an object's fields, then those of nested objects."""
    rows, nested = [], []
    for name, schema in node["properties"].items():
        inner = _resolve(schema, defs)
        place = f"{path}.{name}".lstrip(".")
        item = _resolve(inner["items"], defs) if "items" in inner else inner
        if "properties" in item:
            nested.append((f"{place}[]" if "items" in inner else place, item))
        rows.append([f"`{name}`", _type(inner), plain(schema.get("description", ""))])
    if path:
        yield f"### `{path}`\n"
    yield f"{plain(node['description'])}\n"
    yield table(("field", "type", "meaning"), rows)
    for place, item in nested:
        yield from _objects(item, defs, place)


def _resolve(node: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Merge referenced definitions into a schema node; the node's own keys take precedence."""
    merged: dict[str, Any] = {}
    for part in node.get("allOf", ()):
        merged |= _resolve(part, defs)
    if "$ref" in node:
        merged |= _resolve(defs[node["$ref"].rpartition("/")[2]], defs)
    return merged | node


def _type(node: dict[str, Any]) -> str:
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return " or ".join(f"`{json.dumps(value)}`" for value in node["enum"])
    types = [node["type"]] if isinstance(node["type"], str) else node["type"]
    return " or ".join(types)


def _is_error(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, errors.OracleZooError)


def _first(documented: type) -> str:
    """Return the first line of a docstring."""
    return plain((documented.__doc__ or "").splitlines()[0])


def value(setting: object) -> str:
    """Format the value of an option or a fact."""
    if setting is None:
        return "–"
    if isinstance(setting, bool):
        return str(setting).lower()
    if isinstance(setting, float):
        return f"{setting:g}"
    if isinstance(setting, tuple):
        return "[" + ", ".join(map(value, setting)) + "]"
    return str(setting)


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
