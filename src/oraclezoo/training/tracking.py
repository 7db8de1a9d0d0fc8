"""Experiment tracking: pass the metrics and files of a training run to trackers.

A tracker that raises an error or does not return is reported once and no longer called; training
continues. Trackers cannot affect the result: PyTorch's random state is restored, and training
waits while they run.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import torch

from oraclezoo.artifacts.run import MODEL, Run
from oraclezoo.codec import encode
from oraclezoo.contracts import Tracker
from oraclezoo.engine.records import Epoch
from oraclezoo.errors import OracleZooError, UsageError
from oraclezoo.measure.system import System
from oraclezoo.plugins.registry import Registry
from oraclezoo.specs import Value

Trackers = str | Iterable[str] | Mapping[str, Mapping[str, object]]
"""Tracker names (comma-separated or a sequence), or a mapping of names to options."""

PATIENCE_S = 120.0
"""Time limit for starting a tracker, and for logging the metrics of an epoch."""

LAST_PATIENCE_S = 600.0
"""Time limit for logging a file and for closing a tracker, which may have to upload the model."""


def choose(trackers: Trackers, registry: Registry) -> dict[str, dict[str, Value]]:
    """Return the options of each requested tracker, keyed by its qualified name.

    Raises:
        UsageError: A name or an option is unknown or ambiguous, or a tracker is listed twice.
    """
    if isinstance(trackers, str):
        trackers = [trackers]
    requested: Mapping[str, Mapping[str, object]]
    if isinstance(trackers, Mapping):
        requested = trackers
    else:
        names = [name.strip() for text in trackers for name in text.split(",")]
        requested = {name: {} for name in names if name}
    chosen: dict[str, dict[str, Value]] = {}
    for name, options in requested.items():
        qualified, filled = registry.resolve("tracker", name, options)
        if qualified in chosen:
            raise UsageError(f"tracker {qualified} is named twice; name it once")
        chosen[qualified] = filled
    return chosen


class Tracking:
    """Calls the trackers of one training run; does nothing if there are none.

    Args:
        trackers: Options of each tracker, keyed by its qualified name.
        registry: Registry of trackers.
        say: Called with one line of text for each tracker that fails.
    """

    def __init__(
        self,
        trackers: Mapping[str, Mapping[str, Value]],
        registry: Registry,
        say: Callable[[str], None],
    ) -> None:
        self.registry, self.say = registry, say
        self._waiting = dict(trackers)
        self._running: dict[str, _Caller] = {}
        self._run: Run | None = None

    def begin(self, run: Run, device: torch.device, resumed_step: int) -> None:
        """Start all trackers and pass the run's settings; the run's record must already exist."""
        if not self._waiting:
            return
        self._run, self._system = run, System(device)
        config = {**settings(run), "resumed_step": resumed_step}
        for name, options in self._waiting.items():
            start = {"run_name": run.folder.name, "folder": run.folder, "config": dict(config)}
            caller = self._running[name] = _Caller(name)
            arguments: dict[str, Any] = {**start, **options}
            begin: Callable[[], Any] = partial(self.registry.create, "tracker", name, **arguments)
            self._call(name, "begin", partial(caller.begin, begin), PATIENCE_S)
        self._waiting = {}
        self._all("take the recipe", lambda t: t.artifact(run.folder / "recipe.toml"), PATIENCE_S)

    def epoch(self, record: Epoch) -> None:
        """Log the metrics of an epoch, and system metrics."""
        if not self._running:
            return
        values = {**figures(record), **self._system.figures()}
        self._all("log", lambda tracker: tracker.log(record.step, values), PATIENCE_S)

    def end(self) -> None:
        """Pass a finished run's model to all trackers and close them; repeated calls do nothing."""
        if self._run is None or not self._running:
            return
        status = self._run.record.status
        if status == "done":
            outcome = self._run.outcome
            values = finite({f"outcome/{key}": value for key, value in encode(outcome).items()})
            self._all("log", lambda tracker: tracker.log(outcome.steps, values), PATIENCE_S)
            self._pass_model(self._run)
        self._all("finish", lambda tracker: tracker.finish(status), LAST_PATIENCE_S)
        for caller in self._running.values():
            caller.close()
        self._running = {}

    def _pass_model(self, run: Run) -> None:
        try:
            folder = run.model(registry=self.registry).save(run.folder / MODEL)
        except Exception as error:  # e.g. a full disk; the run is already saved
            self.say(f"the model could not be passed to trackers: {type(error).__name__}: {error}")
            return
        self._all("take the model", lambda tracker: tracker.artifact(folder), LAST_PATIENCE_S)

    def _all(self, action: str, call: Callable[[Tracker], None], patience_s: float) -> None:
        for name, caller in list(self._running.items()):
            self._call(name, action, partial(caller.give, call), patience_s)

    def _call(self, name: str, action: str, call: Callable[[], None], patience_s: float) -> None:
        caller = self._running[name]
        devices = [self._system.device] if self._system.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            failure = caller.call(call, patience_s)
        if failure:
            del self._running[name]
            caller.close()
            self.say(f"tracker {name} failed to {action}: {failure}; training continues without it")


class _Caller:
    """Calls the methods of one tracker in a separate thread, with a time limit."""

    tracker: Tracker

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._results: SimpleQueue[str] = SimpleQueue()
        # a daemon thread, so that a tracker that never returns does not block the exit
        Thread(target=self._work, name=f"tracker {name}", daemon=True).start()

    def begin(self, create: Callable[[], Tracker]) -> None:
        """Create the tracker; this runs in the tracker's thread."""
        self.tracker = create()

    def give(self, call: Callable[[Tracker], None]) -> None:
        """Call a function with the tracker; this runs in the tracker's thread."""
        call(self.tracker)

    def call(self, function: Callable[[], None], patience_s: float) -> str:
        """Call a function in the thread; return the reason for a failure as one line, or ""."""
        self._calls.put(function)
        try:
            return self._results.get(timeout=patience_s)
        except Empty:
            return f"no response within {patience_s:g} s"

    def close(self) -> None:
        """End the thread after all queued calls."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
                self._results.put("")
            except BaseException as error:  # a tracker may raise anything, even SystemExit
                text = " ".join(str(error).split())[:200]
                expected = isinstance(error, OracleZooError)
                self._results.put(text if expected else f"{type(error).__name__}: {text}")


def settings(run: Run) -> dict[str, Any]:
    """Return a run's recipe, components and hardware as a flat mapping for trackers."""
    record = run.record.to_json()
    recipe = run.recipe.to_dict()
    labels = {f"recipe.{key}": recipe.pop(key) for key in ("name", "summary")}
    copied = ("seed", "oraclezoo", "compile", "deterministic", "train_images", "validation_images")
    return {
        **dict(_flat("", recipe)),
        **labels,
        "recipe.hash": record["recipe"]["hash"],
        **{key: record[key] for key in copied},
        **{
            key: value
            for part in ("components", "hardware", "libraries", "data_sha256")
            for key, value in _flat(f"{part}.", record[part])
        },
    }


def figures(record: Epoch) -> dict[str, float]:
    """Return an epoch's metrics, keyed by the names that trackers use; omit missing metrics."""
    names = {
        "epoch": "epoch",
        "lr": "train/lr",
        "train_loss": "train/loss",
        "validation_loss": "validation/loss",
        "validation_accuracy": "validation/accuracy",
        "train_s": "train/seconds",
        "images_per_s": "train/images_per_s",
    }
    row = dataclasses.asdict(record)
    return finite({name: row[key] for key, name in names.items()})


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Return only the values that are finite numbers; booleans become 1 and 0."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _flat(prefix: str, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value
