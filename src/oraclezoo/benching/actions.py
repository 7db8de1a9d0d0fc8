"""What the benchmark does in processes of their own: train, compress, score, measure.

Each takes ``tell``, by which events are sent, and ``should_stop``: :mod:`oraclezoo.jobs`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oraclezoo.errors import OracleZooError

if TYPE_CHECKING:
    from oraclezoo.artifacts.run import Run
    from oraclezoo.plugins.registry import Registry
    from oraclezoo.recipe import Recipe


def train_and_score(
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


def train_together(
    tell: Callable[..., None], should_stop: Callable[[], bool], **request: Any
) -> None:
    """Train many seeds as one, then score each."""
    from oraclezoo.training import stacked

    stacked.train_and_score(tell, should_stop, **request)


def make_variant_and_score(
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


def measure(
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
