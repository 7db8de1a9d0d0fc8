"""Tables of a row's page that come from its result document: times, sizes, files, provenance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.ranking.page.links import Links, linked
from oraclezoo.ranking.page.text import element, number, safe
from oraclezoo.ranking.text import NONE, clean
from oraclezoo.result import Result, Robustness

REFIT = "Refit: the runs trained on the validation images too, so they have no validation accuracy."


def latencies(latency: Sequence[LatencyRow]) -> str:
    """Return the table of measured latencies, or nothing without measurements."""
    if not latency:
        return ""
    head = ("runtime", "batch", "threads", "p50, ms", "p95, ms", "p99, ms", "repeats")
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
    return table("Latency of a forward pass", head, rows)


def seeds(result: Result) -> str:
    """Return the table of training runs; the validation accuracy of a refit is marked."""
    refit = result.recipe.refit
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
            "refit" if refit else number(s.validation_accuracy, 2, 0.01),
            number(s.loss, 3),
            number(s.train_s, 1),
            number(s.compile_s, 1),
            number(s.peak_memory_bytes, 0, 1e6),
        )
        for s in result.seeds
    ]
    note = element("p", REFIT, class_="oz-quiet") if refit and rows else ""
    return table("Training runs", head, rows) + note if rows else ""


def robustness(scores: Robustness) -> str:
    """Return accuracy under each corruption and severity, averaged over seeds."""
    severities = len(scores.corruptions[0].accuracy[0])
    head = ("corruption", *(str(level) for level in range(1, severities + 1)))
    rows = [
        (one.name, *(number(fmean(level), 1, 0.01) for level in zip(*one.accuracy, strict=True)))
        for one in scores.corruptions
    ]
    return table("Accuracy by severity, %, mean over seeds", head, rows)


def files(result: Result, sha256: str, links: Links) -> str:
    """Return the files of a result with their digests.

    Args:
        result: The result.
        sha256: SHA-256 of the result file, or an empty string if the result has no file.
        links: Addresses of the files.
    """
    listed = [(f"{result.id}.json", sha256, "the result: scores, times, versions")]
    if result.predictions is not None:
        what = f"probabilities of {result.predictions.images:,} test images for each seed"
        listed.append((result.predictions.file, result.predictions.sha256, what))
    rows = [
        element("td", linked(links.file(name), safe(name)) + element("small", what))
        + element("td", element("code", safe(digest or NONE)))
        for name, digest, what in listed
    ]
    return _framed("Files", ("file", "SHA-256"), rows, class_="oz-wrap")


def provenance(result: Result) -> str:
    """Return everything else that a result records, as a description list."""
    return element("dl", "".join(_pair(*pair) for pair in _provenance(result)), class_="oz-facts")


def recipe(result: Result) -> str:
    """Return the recipe with its defaults, folded."""
    content = json.dumps(result.recipe.content, indent=2, ensure_ascii=False, sort_keys=False)
    summary = element("summary", "Recipe with defaults")
    return element("details", summary + element("pre", safe(content), tabindex=0))


def failures(result: Result) -> str:
    """Return the failed runs with their reasons."""
    failed = [f"seed {f.seed}: {f.reason}, {clean(f.message)}" for f in result.failures]
    return element("p", "Failed: " + safe("; ".join(failed))) if failed else ""


def table(caption: str, head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of text cells; the first cell of each row is its heading."""
    body = [
        element("th", safe(first or NONE), scope="row")
        + "".join(element("td", safe(cell or NONE)) for cell in rest)
        for first, *rest in rows
    ]
    return _framed(caption, head, body)


def _framed(
    caption: str, head: Iterable[str], rows: Iterable[str], class_: str | None = None
) -> str:
    top = "".join(element("th", safe(name), scope="col") for name in head)
    body = "".join(element("tr", row) for row in rows)
    content = element("caption", caption) + element("thead", element("tr", top))
    whole = element("table", content + element("tbody", body), class_=class_)
    return element("div", whole, class_="oz-scroll", tabindex=0, role="region", aria_label=caption)


def _provenance(result: Result) -> Iterator[tuple[str, str]]:
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
    yield "hardware class", hardware.class_
    if hardware.calibration_s is not None:
        yield "calibration workload", f"{hardware.calibration_s:.4f} s"


def _pair(name: Any, value: Any) -> str:
    return element("div", element("dt", safe(name)) + element("dd", safe(value)))
