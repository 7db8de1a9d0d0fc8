"""Measure the latency of models in alternating rounds, in separate processes."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from oraclezoo.artifacts.model import GRAPH, Model
from oraclezoo.artifacts.onnx import graph_of
from oraclezoo.card.receipt import LatencyRow, LatencySummary
from oraclezoo.errors import JobError, UsageError
from oraclezoo.jobs import Failed, run_job
from oraclezoo.receipts.actions import Timed, Timing

Setting = tuple[int, int]
"""Batch size and number of threads."""

TORCH = ("eager", "compiled")
"""PyTorch's runtimes: without and with torch.compile."""

ROUNDS = 3
"""Default number of rounds. Each round times all models, so slow periods affect all of them."""
BUDGET_S = 1.0
"""Time per setting in seconds, divided among the rounds."""
REPEATS = 30
"""Minimum number of batches per setting, divided among the rounds."""


@dataclass(frozen=True)
class Subject:
    """A model to time, with the runtimes to use; PyTorch runs on ``device``.

    :func:`time_in_turn` fills in the other fields. ``rows`` has one list of latency rows for each
    round. The other fields are keyed by runtime: ``peak`` is a process's peak resident memory in
    bytes, ``device_peak`` the peak device memory, ``compile_s`` the longest compilation time, and
    ``failed`` the reason why the model does not run in this runtime.
    """

    model: Model
    runtimes: tuple[str, ...]
    rows: list[list[LatencyRow]] = field(default_factory=list)
    peak: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    device_peak: dict[str, int] = field(default_factory=dict)
    compile_s: dict[str, float] = field(default_factory=dict)


def runtimes_of(model: Model) -> tuple[str, ...]:
    """Return the default runtimes: ONNX Runtime, preceded by eager if there is no ONNX file."""
    return ("onnxruntime",) if model.onnx else ("eager", "onnxruntime")


def time_in_turn(
    subjects: Sequence[Subject],
    *,
    settings: Sequence[Setting] | None = None,
    rounds: int = ROUNDS,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Time models in alternation, round by round, and store the results in ``subjects``.

    Args:
        subjects: The models; their result fields are filled in.
        settings: Pairs of batch size and number of threads. By default batch 1 on one thread, and
            batch 256 on PyTorch's number of threads.
        rounds: Number of rounds.
        progress: Called with one line of text for each round.

    Raises:
        JobError: A timing process failed.
    """
    pairs = list(settings or ((1, 1), (256, torch.get_num_threads())))
    with tempfile.TemporaryDirectory(prefix="oraclezoo-timing-") as folder:
        requests = [
            _requests(subject, Path(folder) / str(number), pairs, rounds)
            for number, subject in enumerate(subjects)
        ]
        for number in range(rounds):
            if progress:
                progress(f"timing, round {number + 1} of {rounds}")
            for subject, own_requests in zip(subjects, requests, strict=True):
                subject.rows.append(_round(subject, own_requests))


def _requests(subject: Subject, folder: Path, settings: list[Setting], rounds: int) -> list[Timing]:
    """Write the model files to time, and return a timing request for each runtime."""
    model, requests = subject.model, []
    size = model.card.input.image_size
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
        requests.append(
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
    return requests


def _round(subject: Subject, requests: list[Timing]) -> list[LatencyRow]:
    rows: list[LatencyRow] = []
    for request in requests:
        event = run_job(request)
        if not isinstance(event, Timed):
            reason = event.message if isinstance(event, Failed) else "it sent no times"
            raise JobError(f"timing with {request.runtime} failed: {reason}")
        rows += event.rows
        runtime = request.runtime
        for value, maxima in (
            (event.peak_memory_bytes, subject.peak),
            (event.peak_device_memory_bytes, subject.device_peak),
        ):
            if value is not None:
                maxima[runtime] = max(value, maxima.get(runtime, 0))
        if event.compile_s is not None:
            subject.compile_s[runtime] = max(event.compile_s, subject.compile_s.get(runtime, 0.0))
    return rows


def summarize(rounds: Sequence[Sequence[LatencyRow]]) -> tuple[LatencySummary, ...]:
    """Reduce the rounds to one row per setting: the row of the round with the lowest median.

    Since other load on the machine can only increase the latency, the fastest round is the least
    disturbed.
    """
    summaries = []
    for rows in zip(*rounds, strict=True):
        fastest = min(rows, key=lambda row: row.p50_ms)
        summaries.append(
            LatencySummary(
                **dataclasses.asdict(fastest),
                p50_ms_rounds=tuple(row.p50_ms for row in rows),
                images_per_s=fastest.batch_size / fastest.p50_ms * 1e3,
            )
        )
    return tuple(summaries)
