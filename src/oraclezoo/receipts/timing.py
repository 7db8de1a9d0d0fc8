"""Timing: models side by side, each time in a process of its own, in rounds that alternate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from oraclezoo.artifacts.model import GRAPH, Model
from oraclezoo.artifacts.onnx import graph_of
from oraclezoo.errors import JobError, UsageError
from oraclezoo.jobs import run_job
from oraclezoo.receipts.actions import Timing

TORCH = ("eager", "compiled")
"""Runtimes that are torch: as it is, and with torch.compile."""

ROUNDS = 3
"""Times are taken before, after, before, after, ...: a machine's good and bad minutes hit both."""
BUDGET_S = 1.0
"""Seconds for each setting, over all rounds."""
REPEATS = 30
"""At least so many for each setting, over all rounds."""


@dataclass(frozen=True)
class Subject:
    """A model to be timed, by which runtimes, and on which ``device`` torch's run.

    The others come to hold what is found: ``rows`` one list a round; ``peak`` the peak resident
    bytes of a process by runtime, ``device_peak`` the same of a device's own memory; ``compile_s``
    the most seconds that compiling took, by runtime; ``failed`` the reason why a runtime cannot run
    the model.
    """

    model: Model
    runtimes: tuple[str, ...]
    rows: list[list[dict[str, Any]]] = field(default_factory=list)
    peak: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    device_peak: dict[str, int] = field(default_factory=dict)
    compile_s: dict[str, float] = field(default_factory=dict)


def runtimes_of(model: Model) -> tuple[str, ...]:
    """ONNX Runtime for a model with an ONNX file; else eager, and ONNX Runtime on its export."""
    return ("onnxruntime",) if model.onnx else ("eager", "onnxruntime")


def time_in_turn(
    subjects: Sequence[Subject],
    *,
    settings: Sequence[tuple[int, int]] | None = None,
    rounds: int = ROUNDS,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Fill in the subjects. ``settings`` are pairs of batch size and threads.

    By default batch 1 on one thread and 256 on as many as torch takes. Raises JobError if a
    process dies.
    """
    chosen = list(settings or ((1, 1), (256, torch.get_num_threads())))
    with tempfile.TemporaryDirectory(prefix="oraclezoo-timing-") as place:
        requests = [
            _requests(subject, Path(place) / str(number), chosen, rounds)
            for number, subject in enumerate(subjects)
        ]
        for number in range(rounds):
            if progress:
                progress(f"timing, round {number + 1} of {rounds}")
            for subject, several in zip(subjects, requests, strict=True):
                subject.rows.append(_round(subject, several))


def _requests(
    subject: Subject, folder: Path, settings: list[tuple[int, int]], rounds: int
) -> list[Timing]:
    """What the processes are asked, once the files that they need are written."""
    model, asked = subject.model, []
    size = model.card["input"]["image_size"]
    bare = Model(model.module, model.card, form=model.form)
    for runtime in subject.runtimes:
        path = folder / runtime
        if runtime in TORCH:
            bare.save(path)
        else:
            try:
                content = model.onnx or graph_of(model)
            except UsageError as error:
                subject.failed[runtime] = str(error)
                continue
            path.mkdir(parents=True)
            path = path / GRAPH
            path.write_bytes(content)
        asked.append(
            Timing(
                runtime=runtime,
                path=path,
                image_size=size,
                precision=model.precision,
                device=subject.device,
                settings=tuple(settings),
                budget_s=BUDGET_S / rounds,
                min_repeats=-(-REPEATS // rounds),
            )
        )
    return asked


def _round(subject: Subject, requests: list[Timing]) -> list[dict[str, Any]]:
    rows = []
    for request in requests:
        event = run_job(request)
        if event["event"] != "timed":
            raise JobError(f"timing with {request.runtime} failed: {event.get('message')}")
        rows += event["rows"]
        runtime = request.runtime
        for found, kept in (
            (event["peak_memory_bytes"], subject.peak),
            (event["peak_device_memory_bytes"], subject.device_peak),
            (event["compile_s"], subject.compile_s),
        ):
            if found is not None:
                kept[runtime] = max(found, kept.get(runtime, 0))
    return rows


def summarise(rounds: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One row a setting: the calmest round, beside the p50 of each, and images a second.

    Other work on a machine only ever adds time, so the least disturbed round tells most.
    """
    found = []
    for same in zip(*rounds, strict=True):
        calm = min(same, key=lambda row: float(row["p50_ms"]))
        p50 = [row["p50_ms"] for row in same]
        rate = calm["batch_size"] / calm["p50_ms"] * 1e3
        found.append({**calm, "p50_ms_rounds": p50, "images_per_s": rate})
    return found
