"""Calls of the Python API: functions from texts to JSON, run by the attacked interpreter."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


def version() -> dict[str, str]:
    """Return the version and the file of the attacked package."""
    import oraclezoo

    return {"version": oraclezoo.__version__, "file": oraclezoo.__file__}


def predict(model: str, images: str) -> list[list[float]]:
    """Return the probabilities of ``oz.load(model)`` for a ``.npy`` file of images."""
    import numpy as np

    import oraclezoo as oz

    found = oz.load(model).predict(np.load(images))
    return [[float(value) for value in row] for row in found.probabilities]


def predict_weights(model: str, images: str) -> list[list[float]]:
    """Return the probabilities of the weights of a model folder, without its ONNX file."""
    import numpy as np

    import oraclezoo as oz

    loaded = oz.load(model)
    found = oz.Model(loaded.module, loaded.card).predict(np.load(images))
    return [[float(value) for value in row] for row in found.probabilities]


def predictor(model: str, images: str) -> list[list[float]]:
    """Return the probabilities of ``oz.predictor(model)`` for a ``.npy`` file of images."""
    import numpy as np

    import oraclezoo as oz

    found = oz.predictor(model).predict(np.load(images))
    return [[float(value) for value in row] for row in found.probabilities]


def load_warnings(folder: str) -> list[str]:
    """Return the warnings and log messages of loading a model."""
    import logging

    import oraclezoo as oz

    messages: list[str] = []

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logging.getLogger("oraclezoo").addHandler(Note())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        oz.load(folder)
    return [*messages, *(str(warning.message) for warning in caught)]


def run_model(run: str, out: str) -> str:
    """Save the model of a run to a folder."""
    from oraclezoo import Run

    return str(Run.load(run).model().save(out))


def save_over(source: str, out: str) -> str:
    """Save a model over another one."""
    import oraclezoo as oz

    return str(oz.load(source).save(out))


def save_in_turns(first: str, second: str, out: str, times: str) -> int:
    """Save two models to one folder, by turns."""
    import oraclezoo as oz

    models = [oz.load(first), oz.load(second)]
    for number in range(int(times)):
        models[number % 2].save(out)
    return int(times)


def bench_text(text: str, data: str, out: str) -> list[str]:
    """Return the recipe names of ``oz.bench(text)``."""
    import oraclezoo as oz

    results = oz.bench(text, track="idx", data_dir=data, seeds=1, out=out, runs=out + "-runs")
    return [result.recipe.name for result in results]


def leaderboard(folder: str) -> int:
    """Return the number of rows of ``oz.leaderboard(folder)``."""
    import oraclezoo as oz

    return len(oz.leaderboard(folder).rows)


def dataset(folder: str) -> dict[str, Any]:
    """Return the number of images and labels of each split of a data set."""
    from pathlib import Path

    import oraclezoo as oz

    found = oz.registry().create("dataset", "idx", data_dir=Path(folder), progress=None)
    splits = [found.split(name) for name in ("train", "validation", "test")]
    return {
        "images": [len(split.images) for split in splits],
        "labels": [len(split.labels) for split in splits],
    }


def metrics(run: str) -> int:
    """Return the number of epochs in a run's metrics."""
    from oraclezoo import Run

    return len(Run.load(run).metrics)


def process_state() -> dict[str, Any]:
    """Return what a plugin can change in a process, after the registry has loaded it."""
    import os
    import signal
    from pathlib import Path

    import torch

    import oraclezoo as oz

    def state() -> dict[str, Any]:
        return {
            "default dtype": str(torch.get_default_dtype()),
            "working folder": str(Path.cwd()),
            "recursion limit": sys.getrecursionlimit(),
            "warning filters": len(warnings.filters),
            "signal handlers": repr([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]),
            "environment": json.dumps(dict(os.environ), sort_keys=True),
        }

    before = state()
    registry = oz.registry()
    for entry in registry:
        if entry.distribution == "hostile":
            registry.create("backbone", entry.qualified, in_chans=1, num_classes=4, image_size=16)
    after = state()
    return {key: before[key] == after[key] for key in before}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
