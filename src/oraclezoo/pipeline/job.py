"""Job: one measurement in a process of its own, so that models do not distort each other.

Started by the benchmark as ``python -m oraclezoo.pipeline.job`` with a JSON request on standard
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
from typing import Any

from oraclezoo.errors import DivergedError, InterruptedRunError, OracleZooError


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
        reason = "diverged" if isinstance(error, DivergedError) else "error"
        tell("failed", reason=reason, message=str(error))
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
) -> None:
    """Calibrate and train; then, and only then, read the test images and keep the predictions."""
    from oraclezoo.measure.hardware import calibrate
    from oraclezoo.pipeline.compose import open_dataset
    from oraclezoo.pipeline.limit import stream_limit
    from oraclezoo.pipeline.run import train
    from oraclezoo.pipeline.score import note_look, score
    from oraclezoo.recipe import Recipe
    from oraclezoo.registry import build_registry
    from oraclezoo.train.device import exact_float32, pick

    with exact_float32():
        calibration_s = calibrate(pick(device))
    registry = build_registry()
    run = train(
        Recipe.from_dict(recipe),
        data_dir=data_dir,
        seed=seed,
        device=device,
        out=out,
        resume=resume,
        overwrite=not resume,
        stream_above=stream_above,
        registry=registry,
        on_epoch=lambda epoch: tell("epoch", **dataclasses.asdict(epoch)),
        should_stop=should_stop,
    )
    place = None if data_dir is None else Path(data_dir)
    limit = stream_limit(stream_above, pick(device))
    dataset = open_dataset(run.recipe, registry, place, stream_above=limit)
    model = run.model(registry=registry)
    note_look(run, dataset, Path(results))
    found = score(model, dataset, "test", device)
    found.save(run.folder / "score.safetensors")
    run.update(
        score={"accuracy": found.accuracy, "loss": found.loss},
        test_sha256=dict(dataset.sha256),
        calibration_s=calibration_s,
    )


def _measure(
    tell: Callable[..., None], should_stop: Callable[[], bool], *, folder: str, device: str
) -> None:
    """Latency, size and arithmetic of a run's model; short, so it does not ask to be stopped."""
    from oraclezoo.measure import latency, size
    from oraclezoo.pipeline.run import Run
    from oraclezoo.train.device import exact_float32, pick

    place = pick(device)
    run = Run.load(folder)
    module = run.model().module.to(place)
    shape = {key: run.record["model"]["input"][key] for key in ("in_chans", "image_size")}
    weights = module.state_dict().values()
    model = {
        "parameters": size.parameters(module),
        "macs": size.macs(module, **shape),
        "size_bytes": sum(tensor.numel() * tensor.element_size() for tensor in weights),
    }
    with exact_float32():
        rows = latency.eager(module, device=place, **shape)
    tell("measured", model=model, latency=rows)


_ACTIONS: dict[str, Callable[..., None]] = {"train": _train_and_score, "measure": _measure}

if __name__ == "__main__":
    sys.exit(main())
