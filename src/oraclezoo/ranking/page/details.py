"""Expandable details of a row: its command and provenance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.ranking.page.text import element, number, safe
from oraclezoo.ranking.text import NONE, clean
from oraclezoo.result import Result, SeedScore


def details(result: Result) -> str:
    """Return the details of a result as HTML."""
    parts = [
        element("p", element("code", safe(result.command), class_="oz-command")),
        element("dl", "".join(_pair(name, value) for name, value in _provenance(result))),
        _seeds(result.seeds, result.recipe.refit),
        _latencies(result.latency),
    ]
    if result.failures:
        failures = [f"seed {f.seed}: {f.reason}, {clean(f.message)}" for f in result.failures]
        parts.append(element("p", "Failed: " + safe("; ".join(failures))))
    content = json.dumps(result.recipe.content, indent=2, ensure_ascii=False, sort_keys=False)
    summary = element("summary", "Recipe with defaults")
    parts.append(element("details", summary + element("pre", safe(content))))
    return "".join(parts)


def _provenance(result: Result) -> Iterator[tuple[str, str]]:
    yield "result", f"{result.id}.json"
    yield "reproduce", f"oraclezoo reproduce {result.id}.json"
    if result.recipe.summary:
        yield "recipe", result.recipe.summary
    yield "recipe hash", result.recipe.hash
    for kind, part in result.components.items():
        yield kind, f"{part.name}, from {part.distribution} {part.version}"
    yield "created", f"{result.created}, oraclezoo {result.oraclezoo}, protocol {result.protocol}"
    yield "source code SHA-256", result.code_sha256
    track = result.track
    split = f"{track.train:,} training, {track.validation:,} validation, {track.test:,} test images"
    yield "split", split + (", refit on training and validation" if result.recipe.refit else "")
    yield "examples per seed", f"{result.examples:,}"
    for name, digest in track.data_sha256.items():
        yield f"data: {name}", digest
    if result.predictions is not None:
        yield f"predictions: {result.predictions.file}", result.predictions.sha256
    yield from _machine(result)
    yield "libraries", ", ".join(f"{name} {version}" for name, version in result.libraries.items())


def _machine(result: Result) -> Iterator[tuple[str, str]]:
    hardware = result.hardware
    memory = f"{hardware.memory_bytes / 2**30:.0f} GiB"
    device = "" if hardware.device == hardware.cpu else f"{hardware.device}; "
    if hardware.device_memory_bytes is not None:
        device = f"{hardware.device}, {hardware.device_memory_bytes / 2**30:.0f} GiB; "
    yield (
        "machine",
        f"{device}{hardware.cpu}, {hardware.cores} cores, {hardware.threads} threads used, "
        f"{memory}, {hardware.platform}",
    )
    if hardware.calibration_s is not None:
        yield "calibration workload", f"{hardware.calibration_s:.4f} s"


def _seeds(seeds: Sequence[SeedScore], refit: bool) -> str:
    """Return the table of seeds; without validation accuracy if a run trained on those images."""
    if not seeds:
        return ""
    head = (
        "seed",
        "test, %",
        "validation, %",
        "loss",
        "training, s",
        "compilation, s",
        "memory, MB",
    )
    rows = [
        (
            str(s.seed),
            number(s.accuracy, 2, 0.01),
            number(None if refit else s.validation_accuracy, 2, 0.01),
            number(s.loss, 3),
            number(s.train_s, 1),
            number(s.compile_s, 1),
            number(s.peak_memory_bytes, 0, 1e6),
        )
        for s in seeds
    ]
    return _table("Training runs", head, rows)


def _latencies(latency: Sequence[LatencyRow]) -> str:
    if not latency:
        return ""
    head = ("latency", "batch", "threads", "p50, ms", "p95, ms", "p99, ms", "repeats")
    rows = [
        (
            f"{row.runtime} {row.precision}, {row.device}",
            f"{row.batch_size:,}",
            str(row.threads),
            number(row.p50_ms, 2),
            number(row.p95_ms, 2),
            number(row.p99_ms, 2),
            f"{row.repeats:,}",
        )
        for row in latency
    ]
    return _table("Forward pass", head, rows)


def _table(caption: str, head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(element("th", safe(name), scope="col") for name in head)
    body = "".join(
        element("tr", "".join(element("td", safe(cell or NONE)) for cell in row)) for row in rows
    )
    content = element("caption", caption) + element("thead", element("tr", top))
    table = element("table", content + element("tbody", body))
    return element("div", table, class_="oz-scroll", tabindex=0, role="region", aria_label=caption)


def _pair(name: Any, value: Any) -> str:
    return element("div", element("dt", safe(name)) + element("dd", safe(value)))
