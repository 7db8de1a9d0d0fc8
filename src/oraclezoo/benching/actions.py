"""Jobs of the benchmark: train, compress, score and measure, each in a separate process.

Imports are inside functions, so that a job starts quickly. See :mod:`oraclezoo.jobs`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from oraclezoo.benching.requests import Compression, Measurement, Stacked, Training
from oraclezoo.errors import OracleZooError
from oraclezoo.jobs import Channel

if TYPE_CHECKING:
    from oraclezoo.artifacts.model import Model
    from oraclezoo.artifacts.run import Run
    from oraclezoo.card.receipt import LatencyRow
    from oraclezoo.engine.records import Epoch
    from oraclezoo.plugins.registry import Registry

STEP_EVENTS_S = 0.5
"""Minimum seconds between two events about the steps of a training."""


def train_and_score(request: Training, channel: Channel) -> None:
    """Measure machine speed and train; only then read the test images and score the run.

    Args:
        request: The request.
        channel: Channel for :class:`EpochDone` events.
    """
    from oraclezoo.engine.records import Callbacks
    from oraclezoo.plugins.registry import build_registry
    from oraclezoo.recipe.resolve import resolve
    from oraclezoo.training.stacked import marking
    from oraclezoo.training.train import Destination, train_resolved

    calibration_s = _calibration_s(request)
    registry = build_registry()
    recipe = resolve(request.recipe, registry)  # a recipe from JSON is not marked as resolved
    destination = Destination(request.runs, request.resume, overwrite=not request.resume)
    should_stop = channel.should_stop
    if request.processes is not None:
        folder = destination.run(recipe, request.seed).folder
        should_stop = marking(folder, request.processes, should_stop)
    run = train_resolved(
        recipe,
        request.seed,
        registry,
        request.execution,
        destination,
        Callbacks(_sender(channel), should_stop, channel.message, _step_sender(channel)),
    )
    _scorer(request, registry, calibration_s)(run)


def train_stacked_and_score(request: Stacked, channel: Channel) -> None:
    """Train several seeds as a stack, then score each of them.

    Sends :class:`EpochDone`, :class:`SeedDiverged` and :class:`SeedScored` events, or one
    :class:`NotStacked` event if the seeds must be trained one by one.

    Args:
        request: The request.
        channel: Channel for the events.
    """
    from oraclezoo.benching.events import EpochDone, NotStacked, SeedDiverged, SeedScored
    from oraclezoo.engine.stacked import CannotStackError
    from oraclezoo.plugins.registry import build_registry
    from oraclezoo.training.stacked import SeedCallbacks, train

    registry = build_registry()
    callbacks = SeedCallbacks(
        on_epoch=lambda seed, epoch: channel.send(EpochDone(epoch, seed)),
        on_diverged=lambda seed, error: channel.send(SeedDiverged(seed, str(error))),
        on_step=_stack_sender(channel),
        should_stop=channel.should_stop,
        warn=channel.message,
    )
    try:
        runs = train(
            request.recipe,
            request.seeds,
            registry=registry,
            execution=request.execution,
            out=request.runs,
            resume=request.resume,
            stack_size=request.stack_size,
            callbacks=callbacks,
        )
    except CannotStackError as error:
        channel.send(NotStacked(str(error)))
        return
    score = _scorer(request, registry, None)
    for run in runs:
        score(run)
        channel.send(SeedScored(run.record.provenance.seed))


def compress_and_score(request: Compression, channel: Channel) -> None:
    """Compress a finished run; only then read the test images and score the variant.

    Args:
        request: The request.
        channel: Channel for the :class:`EpochDone` events of fine-tuning.
    """
    from oraclezoo.benching.compressed import VariantRequest, compress_run
    from oraclezoo.engine.records import Callbacks
    from oraclezoo.plugins.registry import build_registry

    calibration_s = _calibration_s(request)
    registry = build_registry()
    variant = compress_run(
        request.run,
        VariantRequest(
            request.recipe, request.seed, request.runs, request.execution, request.resume
        ),
        registry,
        Callbacks(_sender(channel), channel.should_stop, on_step=_step_sender(channel)),
    )
    _scorer(request, registry, calibration_s)(variant)


def _sender(channel: Channel) -> Callable[[Epoch], None]:
    def send(epoch: Epoch) -> None:
        from oraclezoo.benching.events import EpochDone

        channel.send(EpochDone(epoch))

    return send


def _step_sender(channel: Channel) -> Callable[[float], None]:
    send = _stack_sender(channel)
    return lambda share: send((), share)


def _stack_sender(channel: Channel) -> Callable[[Collection[int], float], None]:
    """Return a function that sends :class:`StepDone` events, at most two per second."""
    from oraclezoo.benching.events import StepDone

    sent_at = time.monotonic()

    def send(seeds: Collection[int], share: float) -> None:
        nonlocal sent_at
        if time.monotonic() - sent_at >= STEP_EVENTS_S:
            sent_at = time.monotonic()
            channel.send(StepDone(share, tuple(seeds)))

    return send


def _calibration_s(request: Training | Compression) -> float | None:
    """Return the seconds of the calibration workload on this machine, or None without timing."""
    if not request.scoring.timed:
        return None
    from oraclezoo.engine.device import exact_float32
    from oraclezoo.measure.hardware import calibrate

    with exact_float32():
        return calibrate(request.execution.torch_device())


def _scorer(
    request: Training | Stacked | Compression, registry: Registry, calibration_s: float | None
) -> Callable[[Run], None]:
    """Return a function that reads the test images and scores a run, for use after training."""
    from oraclezoo.artifacts.build import open_dataset
    from oraclezoo.artifacts.score import keep_score

    execution, scoring = request.execution, request.scoring
    # opened again, so that its digests cover only the test images
    dataset = open_dataset(
        request.recipe, registry, execution.data_dir, stream_above=execution.stream_limit()
    )

    def score(run: Run) -> None:
        keep_score(
            run,
            dataset,
            scoring.results,
            device=execution.device,
            registry=registry,
            calibration_s=calibration_s,
            robust=scoring.robust,
        )

    return score


def measure(request: Measurement, channel: Channel) -> None:
    """Measure the size, operations and latency of a model and send one :class:`Measured` event.

    A model with an ONNX file is timed in ONNX Runtime, any other model in PyTorch. The job is short
    and ignores stop requests.

    Args:
        request: The request.
        channel: Channel for the event.
    """
    from oraclezoo.artifacts.resolve import open_model
    from oraclezoo.benching.events import Measured, ModelSize
    from oraclezoo.engine.device import exact_float32, pick
    from oraclezoo.measure import latency, size
    from oraclezoo.plugins.registry import build_registry

    loaded = open_model(request.folder, build_registry())
    graph, precision = loaded.onnx, loaded.precision
    shape = loaded.card.input
    weights = loaded.module.state_dict().values()
    weight_bytes = sum(tensor.numel() * tensor.element_size() for tensor in weights)
    model = ModelSize(
        parameters=size.parameters(loaded.module),
        macs=size.macs(loaded.classifier, **shape.image),
        size_bytes=len(graph) if graph else weight_bytes,
    )
    rows: list[LatencyRow] = []
    if request.timed and not graph:
        device = pick(request.device)
        with exact_float32():
            rows = latency.eager(
                loaded.to(device).classifier,
                in_chans=shape.in_chans,
                image_size=shape.image_size,
                device=device,
            )
        if request.exported:
            graph = _exported(loaded, channel)
    if request.timed and graph:
        rows += _time_onnx(graph, precision, shape.image_size)
    channel.send(Measured(model, tuple(rows)))


def _exported(model: Model, channel: Channel) -> bytes | None:
    from oraclezoo.artifacts.onnx import graph_of

    try:
        return graph_of(model)
    except OracleZooError as error:
        channel.message(f"not timed in ONNX Runtime: {error}")
        return None


def _time_onnx(graph: bytes, precision: str, image_size: int) -> list[LatencyRow]:
    """Return latency rows for an ONNX file, at the settings of eager mode."""
    import tempfile

    import torch

    from oraclezoo.measure.ort import onnx

    with tempfile.TemporaryDirectory(prefix="oraclezoo-timing-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(graph)
        settings = [(1, 1), (256, torch.get_num_threads())]
        return onnx(path, image_size=image_size, precision=precision, settings=settings)
