"""Prune: channels of a trained model are taken out, what is left is fine-tuned and measured."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run
from oraclezoo.contracts import Dataset
from oraclezoo.engine.device import pick
from oraclezoo.engine.records import Epoch
from oraclezoo.errors import UsageError, VerificationError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.pruning.cost import RUNTIMES
from oraclezoo.pruning.steps import Steps, Wish
from oraclezoo.pruning.workspace import working
from oraclezoo.receipts.notes import CERTAIN
from oraclezoo.receipts.receipt import gate, prove
from oraclezoo.receipts.timing import ROUNDS
from oraclezoo.recipe import Recipe
from oraclezoo.training.finetune import Tuning, images_for, milder, recipe_of

EPOCHS = 10
"""Of fine-tuning, if nothing is said."""


def prune(
    model: Model | Run | str | Path,
    out: str | Path | None = None,
    *,
    macs: float | None = None,
    params: float | None = None,
    latency: float | None = None,
    importance: str = Wish.importance,
    scope: str | None = None,
    round_to: int = 8,
    steps: int = 1,
    runtime: str = RUNTIMES[0],
    epochs: int = EPOCHS,
    lr_scale: float = Tuning.lr_scale,
    distill: float = 0.0,
    temperature: float = Tuning.temperature,
    recipe: Recipe | str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    max_drop: float | None = None,
    max_limit: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    split: str = "validation",
    track: str | None = None,
    data_dir: str | Path | None = None,
    results: str | Path = "results",
    timed: bool = True,
    rounds: int = ROUNDS,
    settings: Sequence[tuple[int, int]] | None = None,
    registry: Registry | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Take channels out until a share of ``macs``, ``params`` or ``latency`` is left.

    Exactly one of the three is given, above 0 and at most 1. Channels are ranked by ``importance``
    (magnitude, bn-scale, taylor, lamp, random) within a ``scope``: uniform (the same share of each
    layer; the default), global, or isomorphic (global among layers of the same build; the default
    for transformers); layers keep multiples of ``round_to`` channels. It is done in ``steps``, each
    followed by its part of ``epochs`` of fine-tuning by the model's recipe with learning rates
    times ``lr_scale``; ``distill`` is the share of the loss that goes by the labels of the unpruned
    model at ``temperature``. No choice looks at anything but training images, structure and time;
    the receipt is measured on ``split``.

    The model, with its plan and receipt, is written to ``out`` if that is given. Stopped before it
    is done, it leaves there what ``resume`` goes on from. Raises UsageError for a backbone that
    cannot be pruned; VerificationError, and nothing is written, if accuracy falls by more than
    ``max_drop`` points or the one-sided 95% limit of that loss is above ``max_limit``.
    """
    registry = registry or build_registry()
    wish = Wish(
        *_target(macs, params, latency),
        importance=importance,
        scope=scope,
        round_to=round_to,
        steps=steps,
        seed=seed,
        runtime=runtime,
        setting=settings[0] if settings else (1, 1),
    )
    tuning = Tuning(epochs, lr_scale, distill, temperature)
    if epochs and epochs < steps:
        raise UsageError(f"{epochs} epochs are too few for {steps} steps: one each at least")
    opened = open_model(model, registry)
    before = Model(copy.deepcopy(opened.module).to("cpu"), opened.card)
    tried = check_declared(before, registry)
    dataset = open_data(before, registry, track=track, data_dir=data_dir, progress=progress)
    trained_by = recipe_given(recipe, model, before, registry, needed=epochs > 0)
    data, mild = None, None
    if epochs and trained_by is not None:
        mild = milder(trained_by, tuning, registry)
        data = images_for(before, mild, dataset, pick(device))
    place = None if out is None else Path(out)
    asked = _digest(before, wish, tuning, dataset, mild)
    with working(place, asked, resume=resume, overwrite=overwrite) as work:
        say = progress or (lambda text: None)
        after, told = Steps(
            before,
            wish,
            tuning,
            dataset,
            data,
            mild,
            registry,
            work,
            resume,
            on_epoch,
            should_stop,
            say,
        ).run()
        if trained_by is not None:
            after.card["recipe"] = trained_by.to_dict()
        made = prove(
            "prune",
            told,
            before,
            after,
            dataset,
            split=split,
            track=track,
            results=results,
            timed=timed,
            rounds=rounds,
            settings=settings,
            progress=progress,
        )
        made["notes"] = [*_notes(made, tried), *made["notes"]]
        try:
            gate(made, max_drop=max_drop, max_limit=max_limit)
        except VerificationError as error:
            if place is None:
                raise
            raise VerificationError(
                f"{error} but {work}: --resume with other gates goes on from there"
            ) from error
        done = after.with_receipt(made)
        if place is not None:
            done.save(place)
    return done


def _target(macs: float | None, params: float | None, latency: float | None) -> tuple[str, float]:
    given = {"macs": macs, "params": params, "latency": latency}
    found = [(name, value) for name, value in given.items() if value is not None]
    if len(found) != 1:
        raise UsageError("say what is to be left: one of macs, params and latency, e.g. macs 0.5")
    return found[0]


def check_declared(model: Model, registry: Registry) -> bool:
    """Raise UsageError unless the backbone is to be pruned; whether it is only tried."""
    name = model.card["backbone"]["name"]
    spec = registry.get("backbone", name).spec
    if spec.name.startswith("timm/"):
        return True
    declared = spec.facts.get("prunable")
    if declared is not True:
        says = "is declared not to be" if declared is False else "does not say that it is"
        why = spec.facts.get("not_prunable_because")
        raise UsageError(
            f"backbone {spec.name} {says} prunable{f': {why}' if why else ''}; "
            "'oraclezoo list backbones --json' has the fact of each"
        )
    return False


def recipe_given(
    given: Recipe | str | Path | None,
    source: Model | Run | str | Path,
    model: Model,
    registry: Registry,
    *,
    needed: bool,
) -> Recipe | None:
    """The recipe to fine-tune by, its track the model's; None where none is known or needed."""
    if given is None:
        try:
            return recipe_of(source, model, registry)
        except UsageError:
            if needed:
                raise
            return None
    loaded = given if isinstance(given, Recipe) else Recipe.load(given)
    name = model.card.get("provenance", {}).get("components", {}).get("dataset", {}).get("name")
    return loaded.override({"data.track": name} if name else {})


def _notes(made: dict[str, Any], tried: bool) -> Iterator[str]:
    speedups = made["speedups"]
    if speedups and all(min(row["low"], row["speedup"]) < CERTAIN for row in speedups):
        yield "pruned but not faster on this machine"
    if tried:
        yield "this backbone is not declared prunable: it was tried, and this came of it"


def _digest(
    model: Model, wish: Wish, tuning: Tuning, dataset: Dataset, recipe: Recipe | None
) -> str:
    """Of all that decides what comes out, so that no other pruning is gone on with."""
    asked = [
        dataclasses.asdict(wish),
        dataclasses.asdict(tuning),
        dict(dataset.sha256),
        None if recipe is None else recipe.hash,
    ]
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode() + model.weights()).hexdigest()
