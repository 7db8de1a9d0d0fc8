"""Details: how a row came about: its command, and all that its result says of its making."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from oraclezoo.ranking.page.text import element, number, safe
from oraclezoo.ranking.text import NONE, clean
from oraclezoo.result import Latency, Result, SeedScore


def details(result: Result) -> str:
    """What opens behind a row: HTML made of the result alone."""
    parts = [
        element("p", element("code", safe(result.command), class_="oz-command")),
        element("dl", "".join(_pair(name, value) for name, value in _provenance(result))),
        _seeds(result.seeds),
        _latencies(result.latency),
    ]
    if result.failures:
        said = [f"seed {f.seed}: {f.reason}, {clean(f.message)}" for f in result.failures]
        parts.append(element("p", "Failed: " + safe("; ".join(said))))
    content = json.dumps(result.recipe.content, indent=2, ensure_ascii=False, sort_keys=False)
    summary = element("summary", "The recipe, defaults filled in")
    parts.append(element("details", summary + element("pre", safe(content))))
    return "".join(parts)


def _provenance(result: Result) -> Iterator[tuple[str, str]]:
    yield "result", f"{result.id}.json"
    yield "run it again", f"oraclezoo reproduce {result.id}.json"
    if result.recipe.summary:
        yield "recipe", result.recipe.summary
    yield "recipe's hash", result.recipe.hash
    for kind, part in result.components.items():
        yield kind, f"{part.name}, from {part.distribution} {part.version}"
    yield "made", f"{result.created}, oraclezoo {result.oraclezoo}, protocol {result.protocol}"
    yield "source code", result.code_sha256
    track = result.track
    split = f"{track.train:,} training, {track.validation:,} validation, {track.test:,} test images"
    yield "split", split + (", refit on training and validation" if result.recipe.refit else "")
    yield "examples a training", f"{result.examples:,}"
    for name, digest in track.data_sha256.items():
        yield f"data: {name}", digest
    if result.predictions is not None:
        yield f"predictions: {result.predictions.file}", result.predictions.sha256
    yield from _machine(result)
    yield "libraries", ", ".join(f"{name} {found}" for name, found in result.libraries.items())


def _machine(result: Result) -> Iterator[tuple[str, str]]:
    found = result.hardware
    memory = f"{found.memory_bytes / 2**30:.0f} GiB"
    device = "" if found.device == found.cpu else f"{found.device}; "
    if found.device_memory_bytes is not None:
        device = f"{found.device}, {found.device_memory_bytes / 2**30:.0f} GiB; "
    yield (
        "machine",
        f"{device}{found.cpu}, {found.cores} cores, {found.threads} threads used, {memory}, "
        f"{found.platform}",
    )
    if found.calibration_s is not None:
        yield "calibration workload", f"{found.calibration_s:.4f} s"


def _seeds(seeds: Sequence[SeedScore]) -> str:
    if not seeds:
        return ""
    head = ("seed", "test, %", "validation, %", "loss", "training, s", "compiling, s", "memory, MB")
    rows = [
        (
            str(s.seed),
            number(s.accuracy, 2, 0.01),
            number(s.validation_accuracy, 2, 0.01),
            number(s.loss, 3),
            number(s.train_s, 1),
            number(s.compile_s, 1),
            number(s.peak_memory_bytes, 0, 1e6),
        )
        for s in seeds
    ]
    return _table("Each training", head, rows)


def _latencies(latency: Sequence[Latency]) -> str:
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
    made = element("caption", caption) + element("thead", element("tr", top))
    made = element("table", made + element("tbody", body))
    return element("div", made, class_="oz-scroll", tabindex=0, role="region", aria_label=caption)


def _pair(name: Any, value: Any) -> str:
    return element("div", element("dt", safe(name)) + element("dd", safe(value)))
