"""Tracking: hands the course of a training to trackers, whatever they do.

A tracker that raises, at its start, in the middle or at its end, or that does not return, is named
once and left out from then on. Nothing that it does changes the training: torch's random state is
put back, and no step is taken while it works.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import torch

from oraclezoo.artifacts.run import MODEL, Run
from oraclezoo.contracts import Tracker
from oraclezoo.engine.records import Epoch
from oraclezoo.errors import OracleZooError, UsageError
from oraclezoo.measure.system import System
from oraclezoo.plugins.registry import Registry
from oraclezoo.specs import Value

Trackers = str | Iterable[str] | Mapping[str, Mapping[str, object]]
"""Names, one text separated by commas or several, or names with the options of each."""

PATIENCE_S = 120.0
"""How long a tracker may take to begin, or over the figures of an epoch."""

LAST_PATIENCE_S = 600.0
"""How long it may take over a file or its end: the model may have to be sent somewhere."""


def choose(trackers: Trackers, registry: Registry) -> dict[str, dict[str, Value]]:
    """Qualified name -> all options of each tracker that was asked for.

    Raises UnknownNameError, AmbiguousNameError, UnknownOptionError or UsageError.
    """
    if isinstance(trackers, str):
        trackers = [trackers]
    given: Mapping[str, Mapping[str, object]]
    if isinstance(trackers, Mapping):
        given = trackers
    else:
        names = [name.strip() for text in trackers for name in text.split(",")]
        given = {name: {} for name in names if name}
    found: dict[str, dict[str, Value]] = {}
    for name, options in given.items():
        qualified, filled = registry.resolve("tracker", name, options)
        if qualified in found:
            raise UsageError(f"tracker {qualified} is asked for twice")
        found[qualified] = filled
    return found


class Tracking:
    """The trackers of one training; without any it does nothing.

    ``say`` is told in a line of each one that fails.
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

    @contextmanager
    def of(
        self, run: Run, device: torch.device, resumed_step: int
    ) -> Iterator[Callable[[Epoch], None]]:
        """From the beginning to the end of the block; gives what is to be called each epoch."""
        self.begin(run, device, resumed_step)
        try:
            yield self.epoch
        finally:
            self.end()

    def begin(self, run: Run, device: torch.device, resumed_step: int) -> None:
        """Begin all, with the settings of a run whose folder and record are there."""
        if not self._waiting:
            return
        self._run, self._system = run, System(device)
        config = {**settings(run), "resumed_step": resumed_step}
        for name, options in self._waiting.items():
            given = {"run_name": run.folder.name, "folder": run.folder, "config": dict(config)}
            caller = self._running[name] = _Caller(name)
            begin = partial(self.registry.create, "tracker", name, **given, **options)
            self._call(name, "begin", partial(caller.begin, begin), PATIENCE_S)
        self._waiting = {}
        self._all("take the recipe", lambda t: t.artifact(run.folder / "recipe.toml"), PATIENCE_S)

    def epoch(self, record: Epoch) -> None:
        """Hand on what is known after an epoch, and what the system says."""
        if not self._running:
            return
        values = {**figures(record), **self._system.figures()}
        self._all("log", lambda tracker: tracker.log(record.step, values), PATIENCE_S)

    def end(self) -> None:
        """Hand on the model of a run that is done, and end all; does nothing the second time."""
        if self._run is None or not self._running:
            return
        record = self._run.record
        status = str(record["status"])
        if status == "done":
            outcome = {f"outcome/{key}": value for key, value in record["outcome"].items()}
            values = finite(outcome)
            self._all(
                "log", lambda tracker: tracker.log(record["outcome"]["steps"], values), PATIENCE_S
            )
            self._hand_on_model(self._run)
        self._all("finish", lambda tracker: tracker.finish(status), LAST_PATIENCE_S)
        for caller in self._running.values():
            caller.close()
        self._running = {}

    def _hand_on_model(self, run: Run) -> None:
        try:
            folder = run.model(registry=self.registry).save(run.folder / MODEL)
        except Exception as error:  # of a full disk, perhaps: the run itself is done and kept
            self.say(f"the model is not handed to trackers: {type(error).__name__}: {error}")
            return
        self._all("take the model", lambda tracker: tracker.artifact(folder), LAST_PATIENCE_S)

    def _all(self, what: str, call: Callable[[Tracker], None], patience_s: float) -> None:
        for name, caller in list(self._running.items()):
            self._call(name, what, partial(caller.give, call), patience_s)

    def _call(self, name: str, what: str, call: Callable[[], None], patience_s: float) -> None:
        caller = self._running[name]
        devices = [self._system.device] if self._system.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            failure = caller.call(call, patience_s)
        if failure:
            del self._running[name]
            caller.close()
            self.say(f"tracker {name} failed to {what}: {failure}; the training goes on without it")


class _Caller:
    """Calls one tracker's methods in a thread of its own, and waits for each, but not for ever."""

    tracker: Tracker

    def __init__(self, name: str) -> None:
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._answered: SimpleQueue[str] = SimpleQueue()
        # a daemon: one that never returns must not keep the program from ending
        Thread(target=self._work, name=f"tracker {name}", daemon=True).start()

    def begin(self, create: Callable[[], Tracker]) -> None:
        """In the thread: make the tracker."""
        self.tracker = create()

    def give(self, call: Callable[[Tracker], None]) -> None:
        """In the thread: call something of the tracker."""
        call(self.tracker)

    def call(self, function: Callable[[], None], patience_s: float) -> str:
        """Why the call failed, in a line; "" if it did not."""
        self._asked.put(function)
        try:
            return self._answered.get(timeout=patience_s)
        except Empty:
            return f"no answer in {patience_s:g} s"

    def close(self) -> None:
        """Let the thread end when it comes to it."""
        self._asked.put(None)

    def _work(self) -> None:
        while (call := self._asked.get()) is not None:
            try:
                call()
                self._answered.put("")
            except BaseException as error:  # a tracker may raise anything, SystemExit too
                text = " ".join(str(error).split())[:200]
                ours = isinstance(error, OracleZooError)
                self._answered.put(text if ours else f"{type(error).__name__}: {text}")


def settings(run: Run) -> dict[str, Any]:
    """What a run trains and on what, flat, as trackers get it."""
    record = run.record
    recipe = run.recipe.to_dict()
    named = {f"recipe.{key}": recipe.pop(key) for key in ("name", "summary")}
    kept = ("seed", "oraclezoo", "compile", "deterministic", "train_images", "validation_images")
    return {
        **dict(_flat("", recipe)),
        **named,
        "recipe.hash": record["recipe"]["hash"],
        **{key: record[key] for key in kept},
        **{
            key: value
            for part in ("components", "hardware", "libraries", "data_sha256")
            for key, value in _flat(f"{part}.", record[part])
        },
    }


def figures(record: Epoch) -> dict[str, float]:
    """An epoch's figures by the names that trackers get; what was not measured is left out."""
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
    """Those that are finite numbers; true and false count as 1 and 0."""
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
