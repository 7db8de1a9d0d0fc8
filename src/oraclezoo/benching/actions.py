"""Job: one measurement in a process of its own, so that models do not distort each other.

Started by the benchmark as ``python -m oraclezoo.benching.actions`` with a JSON request on standard
input; answers with one JSON event a line on standard output. Anything else that a component prints
goes to standard error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oraclezoo.errors import (
    DivergedError,
    InterruptedRunError,
    OracleZooError,
    OutOfMemoryError,
)

if TYPE_CHECKING:
    from oraclezoo.artifacts.run import Run
    from oraclezoo.plugins.registry import Registry
    from oraclezoo.recipe import Recipe

_REASONS: dict[type[OracleZooError], str] = {
    DivergedError: "diverged",
    OutOfMemoryError: "out-of-memory",
}


def main() -> int:
    """Read a request, do it, report it; the exit status says how it ended."""
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # stray prints must not disturb the events
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopping.append(number))
    parent = os.getppid()

    def should_stop() -> bool:
        return bool(stopping) or os.getppid() != parent  # a killed benchmark leaves no orphans

    def tell(event: str, **fields: Any) -> None:
        try:
            channel.write(json.dumps({"event": event, **fields}) + "\n")
        except BrokenPipeError:  # nobody listens any more: stop, and keep the state
            stopping.append(0)

    try:
        request = json.load(sys.stdin)
        _ACTIONS[request.pop("action")](tell, should_stop, **request)
    except InterruptedRunError as error:
        tell("failed", reason="interrupted", message=str(error))
        return error.exit_code
    except OracleZooError as error:
        tell("failed", reason=_REASONS.get(type(error), "error"), message=str(error))
        return error.exit_code
    except MemoryError as error:
        tell(
            "failed", reason="out-of-memory", message=str(error) or "the process ran out of memory"
        )
        return 1
    except Exception as error:
        import traceback

        traceback.print_exc()
        memory = "OutOfMemory" in type(error).__name__ or "can't allocate memory" in str(error)
        reason = "out-of-memory" if memory else "error"
        tell("failed", reason=reason, message=f"{type(error).__name__}: {error}")
        return 1
    return 0


def _train_and_score(
    tell: Callable[..., None],
    should_stop: Callable[[], bool],
    *,
    recipe: dict[str, Any],
    seed: int,
    data_dir: str | None,
    device: str,
    out: str,
    results: str,
    resume: bool,
    stream_above: int | str | None = None,
    compile: str = "auto",
    deterministic: bool = False,
    trackers: dict[str, dict[str, Any]] | None = None,
    together: int | None = None,
    robust: bool = False,
) -> None:
    """Calibrate and train; then, and only then, read the test images and keep the predictions.

    ``together`` says how many such jobs run at a time: where several do, no time is worth taking.
    ``robust`` scores corrupted test images as well.
    """
    from oraclezoo.artifacts.run import folder_name
    from oraclezoo.plugins.registry import build_registry
    from oraclezoo.recipe import Recipe
    from oraclezoo.recipe.resolve import resolve
    from oraclezoo.training.stacked import marking
    from oraclezoo.training.train import train

    calibration_s = _calibration_s(device) if together is None else None
    registry = build_registry()
    given = resolve(Recipe.from_dict(recipe), registry)
    if together is not None:
        should_stop = marking(Path(out) / folder_name(given, seed), together, should_stop)
    run = train(
        given,
        data_dir=data_dir,
        seed=seed,
        device=device,
        out=out,
        resume=resume,
        overwrite=not resume,
        stream_above=stream_above,
        compile=compile,
        deterministic=deterministic,
        trackers=trackers or (),
        progress=lambda text: tell("message", message=text),
        registry=registry,
        on_epoch=lambda epoch: tell("epoch", **dataclasses.asdict(epoch)),
        should_stop=should_stop,
    )
    _score(
        run,
        run.recipe,
        registry,
        data_dir=data_dir,
        results=results,
        stream_above=stream_above,
        device=device,
        calibration_s=calibration_s,
        robust=robust,
    )


def _calibration_s(device: str) -> float:
    """The time of the fixed workload, here and now."""
    from oraclezoo.engine.device import exact_float32, pick
    from oraclezoo.measure.hardware import calibrate

    with exact_float32():
        return calibrate(pick(device))


def _score(
    run: Run,
    recipe: Recipe,
    registry: Registry,
    *,
    data_dir: str | None,
    results: str,
    stream_above: int | str | None,
    device: str,
    **given: Any,
) -> None:
    """Read the test images, now that all is trained, and keep the predictions."""
    from oraclezoo.artifacts.build import open_dataset
    from oraclezoo.artifacts.score import keep_score
    from oraclezoo.engine.device import pick
    from oraclezoo.engine.streaming import stream_limit

    place = None if data_dir is None else Path(data_dir)
    limit = stream_limit(stream_above, pick(device))
    dataset = open_dataset(recipe, registry, place, stream_above=limit)
    keep_score(run, dataset, Path(results), device=device, registry=registry, **given)


def _train_together(
    tell: Callable[..., None], should_stop: Callable[[], bool], **request: Any
) -> None:
    """Train many seeds as one, then score each."""
    from oraclezoo.training.stacked import train_and_score

    train_and_score(tell, should_stop, **request)


def _make_variant_and_score(
    tell: Callable[..., None],
    should_stop: Callable[[], bool],
    *,
    run: str,
    recipe: dict[str, Any],
    seed: int,
    data_dir: str | None,
    device: str,
    out: str,
    results: str,
    resume: bool,
    stream_above: int | str | None = None,
    compile: str = "auto",
    deterministic: bool = False,
    robust: bool = False,
    timed: bool = True,
) -> None:
    """Compress a finished run; then, and only then, read the test images by what came of it."""
    from oraclezoo.benching.compressed import VariantRequest, make
    from oraclezoo.plugins.registry import build_registry
    from oraclezoo.pruning.options import Callbacks
    from oraclezoo.recipe import Recipe
    from oraclezoo.recipe.resolve import resolve

    calibration_s = _calibration_s(device) if timed else None
    registry = build_registry()
    given = resolve(Recipe.from_dict(recipe), registry)
    request = VariantRequest(
        recipe=given,
        seed=seed,
        runs=Path(out),
        data_dir=data_dir,
        device=device,
        compile=compile,
        deterministic=deterministic,
        stream_above=stream_above,
        resume=resume,
    )
    made = make(
        run,
        request,
        registry,
        Callbacks(lambda epoch: tell("epoch", **dataclasses.asdict(epoch)), should_stop),
    )
    _score(
        made,
        given,
        registry,
        data_dir=data_dir,
        results=results,
        stream_above=stream_above,
        device=device,
        calibration_s=calibration_s,
        robust=robust,
    )


def _measure(
    tell: Callable[..., None],
    should_stop: Callable[[], bool],
    *,
    folder: str,
    device: str,
    timed: bool = True,
    exported: bool = False,
) -> None:
    """Latency, size and arithmetic of a run's or a folder's model as it predicts.

    An ONNX file is timed by ONNX Runtime, and so is a run's export where ``exported`` says so.
    Short, so it does not ask to be stopped.
    """
    from oraclezoo.artifacts.resolve import open_model
    from oraclezoo.engine.device import exact_float32, pick
    from oraclezoo.measure import latency, size
    from oraclezoo.plugins.registry import build_registry

    loaded = open_model(folder, build_registry())
    graph, precision = loaded.onnx, loaded.precision
    shape = {key: loaded.card["input"][key] for key in ("in_chans", "image_size")}
    weights = loaded.module.state_dict().values()
    held = sum(tensor.numel() * tensor.element_size() for tensor in weights)
    model = {
        "parameters": size.parameters(loaded.module),
        "macs": size.macs(loaded.classifier, **shape),
        "size_bytes": len(graph) if graph else held,
    }
    rows: list[dict[str, Any]] = []
    if timed and not graph:
        place = pick(device)
        with exact_float32():
            rows = latency.eager(loaded.to(place).classifier, device=place, **shape)
        if exported:
            graph = _graph(loaded, tell)
    if timed and graph:
        rows += _by_onnxruntime(graph, precision, shape["image_size"])
    tell("measured", model=model, latency=rows)


def _graph(model: Any, tell: Callable[..., None]) -> bytes | None:
    from oraclezoo.artifacts.onnx import graph_of

    try:
        return graph_of(model)
    except OracleZooError as error:
        tell("message", message=f"not timed by ONNX Runtime: {error}")
        return None


def _by_onnxruntime(graph: bytes, precision: str, image_size: int) -> list[dict[str, Any]]:
    """Latency rows of an ONNX file, in the settings that eager ones are taken in."""
    import tempfile

    import torch

    from oraclezoo.measure.ort import onnx

    with tempfile.TemporaryDirectory(prefix="oraclezoo-timing-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(graph)
        settings = [(1, 1), (256, torch.get_num_threads())]
        return onnx(path, image_size=image_size, precision=precision, settings=settings)


def _time(
    tell: Callable[..., None],
    should_stop: Callable[[], bool],
    *,
    runtime: str,
    path: str,
    image_size: int,
    precision: str,
    device: str,
    settings: list[tuple[int, int]],
    budget_s: float,
    min_repeats: int,
) -> None:
    """Latency of a model folder by torch, or of an ONNX file by ONNX Runtime, without torch."""
    from oraclezoo.measure.memory import peak_bytes

    seconds = on_device = None
    if runtime == "onnxruntime":
        from oraclezoo.measure.ort import onnx

        rows = onnx(
            Path(path),
            image_size=image_size,
            precision=precision,
            settings=settings,
            budget_s=budget_s,
            min_repeats=min_repeats,
        )
    else:
        rows, seconds, on_device = _time_torch(
            path, runtime, device, settings=settings, budget_s=budget_s, min_repeats=min_repeats
        )
    tell(
        "timed",
        rows=rows,
        peak_memory_bytes=peak_bytes(),
        peak_device_memory_bytes=on_device,
        compile_s=seconds,
    )


def _time_torch(
    path: str, runtime: str, device: str, **how: Any
) -> tuple[list[dict[str, Any]], float | None, int | None]:
    """Latency rows of a model folder in its form, the seconds of compiling, a device's memory."""
    import torch

    from oraclezoo.artifacts.model import load
    from oraclezoo.engine.device import exact_float32, peak_memory_bytes, pick
    from oraclezoo.measure import latency

    place, model = pick(device), load(path)
    shape = {key: model.card["input"][key] for key in ("in_chans", "image_size")}
    model.module.to(place).to(memory_format=torch.channels_last)
    net, seconds = model.in_form(compile=runtime == "compiled"), None
    with exact_float32():
        if runtime == "compiled":
            seconds = latency.first_passes_s(net, device=place, settings=how["settings"], **shape)
        rows = latency.passes(
            net, device=place, runtime=runtime, precision=model.precision, **shape, **how
        )
    return rows, seconds, peak_memory_bytes(place) if place.type == "cuda" else None


_ACTIONS: dict[str, Callable[..., None]] = {
    "train": _train_and_score,
    "together": _train_together,
    "variant": _make_variant_and_score,
    "measure": _measure,
    "time": _time,
}

if __name__ == "__main__":
    sys.exit(main())
