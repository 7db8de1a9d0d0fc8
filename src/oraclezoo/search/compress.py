"""Compress: the chain of prune, export and quantize, searched for the best model within goals."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run
from oraclezoo.contracts import Dataset
from oraclezoo.engine.records import Epoch
from oraclezoo.errors import InterruptedRunError, UsageError, VerificationError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.pruning.prune import EPOCHS, check_declared, recipe_given
from oraclezoo.pruning.steps import Wish
from oraclezoo.pruning.workspace import working
from oraclezoo.quantization.export import export
from oraclezoo.quantization.onnx import AUTO, IMAGES
from oraclezoo.receipts.receipt import receipt, side
from oraclezoo.receipts.timing import ROUNDS, Subject, time_in_turn
from oraclezoo.recipe import Recipe
from oraclezoo.search import report
from oraclezoo.search.goals import Goals, best
from oraclezoo.search.journal import Candidate, Journal, Trial
from oraclezoo.search.proposals import next_share
from oraclezoo.search.trial import RUNTIME, Chain, is_original, share_of_time
from oraclezoo.training.finetune import Tuning, milder

FOLDER, JOURNAL = "compression", "journal.jsonl"
"""The work's folder in the model's, until that is written; and the file in it that tells of it."""
TRIALS = 8
"""At most so many strengths, if nothing is said."""
LARGE_BATCH = 256


def compress(
    model: Model | Run | str | Path,
    out: str | Path | None = None,
    *,
    latency: float | None = None,
    size: float | None = None,
    max_drop: float | None = None,
    max_limit: float | None = None,
    trials: int = TRIALS,
    importance: str = Wish.importance,
    scope: str | None = None,
    round_to: int = Wish.round_to,
    steps: int = 1,
    epochs: int = EPOCHS,
    lr_scale: float = Tuning.lr_scale,
    distill: float = 0.0,
    temperature: float = Tuning.temperature,
    recipe: Recipe | str | Path | None = None,
    calibration: str = AUTO,
    images: int = IMAGES,
    sensitivity: str = "auto",
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 1,
    threads: int = 1,
    rounds: int = ROUNDS,
    resume: bool = False,
    overwrite: bool = False,
    split: str = "validation",
    track: str | None = None,
    data_dir: str | Path | None = None,
    results: str | Path = "results",
    registry: Registry | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Find the best model that comes down to the targets within the gates.

    Targets, one at least, are shares of the model's own float ONNX file: ``latency``, the median
    time of a pass in ONNX Runtime at ``batch_size`` and ``threads``, the two timed in turn; and
    ``size``, the bytes of the file. Gates bound the accuracy that is lost on validation images, in
    points: ``max_drop`` the mean, ``max_limit`` its one-sided 95% limit. A trial prunes to a share
    of the multiply-accumulates (the first to none of them), fine-tunes, exports and quantizes: a
    float and an int8 candidate. There are ``trials`` at most, and fewer where none is left that
    could tell anything. The other options are those of :func:`oraclezoo.prune` and
    :func:`oraclezoo.quantize`. All choices are made on validation images; what is chosen is timed
    once more and, if it then misses the target, the next best is taken.

    The model, written to ``out`` with ``pareto.svg`` if that is given, has the receipts of its
    steps and one of the whole chain, measured on ``split``, that lists all candidates. Stopped
    before it is done, it leaves in ``out`` what ``resume`` goes on from, without a finished trial
    being repeated. Raises VerificationError, and writes no model, if no candidate is within all
    bounds; UsageError without a target, or for a model that is quantized already. A backbone that
    cannot be pruned is quantized only.
    """
    registry = registry or build_registry()
    goals = Goals(latency, size, max_drop, max_limit)
    wish = Wish("macs", 1.0, importance, scope, round_to, steps, seed)
    tuning = Tuning(epochs, lr_scale, distill, temperature)
    _check(trials, epochs, steps, batch_size, threads, rounds)
    say = progress or (lambda text: None)
    opened = open_model(model, registry).as_float()
    if opened.precision != "fp32":
        raise UsageError(
            f"this model is {opened.precision} already: export it anew, and compress that"
        )
    bare = Model(copy.deepcopy(opened.module).to("cpu"), opened.card, opened.onnx)
    whole = _unprunable(bare, registry)
    common = {"track": track, "data_dir": data_dir}
    dataset = open_data(bare, registry, progress=progress, **common)  # type: ignore[arg-type]  # as they came
    by = recipe_given(recipe, model, bare, registry, needed=epochs > 0 and not whole)
    pruning = {**dataclasses.asdict(wish), **dataclasses.asdict(tuning)}
    for fixed in ("what", "target", "runtime", "setting"):
        del pruning[fixed]
    rounding = {"calibration": calibration, "images": images, "sensitivity": sensitivity}
    measured = {"batch_size": batch_size, "threads": threads, "rounds": rounds}
    mild = milder(by, tuning, registry) if epochs and by is not None else None
    asked = _digest(bare, dataset, mild, {**pruning, **rounding, **measured, "track": track})
    place = None if out is None else Path(out)
    with working(place, asked, resume=resume, overwrite=overwrite, name=FOLDER) as work:
        if bare.onnx is None:
            bare = export(bare, timed=False, registry=registry, progress=progress, **common)  # type: ignore[arg-type]  # as above
        before = side(Subject(bare, RUNTIME), dataset, "validation", results, track)
        chain = Chain(
            source=model,
            original=bare,
            before=before,
            dataset=dataset,
            pruning={
                **pruning,
                "recipe": recipe,
                "device": device,
                "on_epoch": on_epoch,
                "should_stop": should_stop,
            },
            rounding=rounding,
            common=common,
            setting=(batch_size, threads),
            rounds=rounds,
            registry=registry,
            work=work,
            say=say,
        )
        journal = Journal(work / JOURNAL)
        if not journal.trials:
            journal.begin(backbone=bare.card["backbone"], setting=chain.setting)
        if whole:
            say(f"{whole}; only int8 is tried")
        if before.learned:
            say("the model has learned the validation images: a loss there may mislead")
        found = _find(chain, journal, goals, 1 if whole else trials, should_stop)
        story = report.Story(chain, tuple(journal.trials), goals, found and found[:2])
        if found is None:
            failure = report.failure(story, whole)
            if place is not None:
                report.figure(story, work, say)
                failure += f"; {work} has the plot, --resume goes on from there"
            raise VerificationError(failure)
        _, made, pair = found
        sides = [side(each, dataset, split, results, track) for each in pair]
        options = {"latency": latency, "size": size, "max_drop": max_drop, "max_limit": max_limit}
        options = {key: value for key, value in options.items() if value is not None}
        told = {"macs": made.macs, "precision": made.precision, "trials": story.document()}
        proof = receipt("compress", {**options, **measured, **pruning, **rounding, **told}, *sides)
        proof["notes"] = [*report.notes(story, split, whole), *proof["notes"]]
        done = pair[1].model.with_receipt(proof)
        if place is not None:
            report.figure(story, place, say)
            done.save(place)
    return done


def _find(
    chain: Chain, journal: Journal, goals: Goals, trials: int, should_stop: Callable[[], bool]
) -> tuple[Trial, Candidate, tuple[Subject, Subject]] | None:
    """Spend the budget, and time the best candidate beside the original once more.

    The winner of many noisy times is likely one that was lucky: one that is not as fast the second
    time is passed over, and the search goes on without it.
    """
    settings = [chain.setting, (LARGE_BATCH, torch.get_num_threads())]
    while True:
        _search(chain, journal, goals, trials, should_stop)
        found = best(journal.trials, goals)
        if found is None:
            return None
        trial, made = found
        chain.say(f"timing the best again: {report.words(made)}")
        pair = Subject(chain.original, RUNTIME), Subject(chain.model(trial, made), RUNTIME)
        time_in_turn(pair, settings=list(dict.fromkeys(settings)), rounds=chain.rounds)
        again, _ = share_of_time(*pair)
        if goals.latency is None or again <= goals.latency or is_original(trial, made):
            return trial, made, pair
        chain.say(f"this time it took {again:.3f} of the time: it is passed over")
        journal.again(trial, made, again)


def _search(
    chain: Chain, journal: Journal, goals: Goals, trials: int, should_stop: Callable[[], bool]
) -> None:
    """Make trials until the budget is spent or nothing is left to be learned."""
    while len(journal.trials) < trials:
        share = next_share(journal.trials, goals)
        if share is None:
            return
        if should_stop():
            raise InterruptedRunError(
                f"stopped after {len(journal.trials)} trials, which are kept: run the same command "
                "with --resume"
            )
        number = len(journal.trials) + 1
        chain.say(f"trial {number} of {trials} at most: {share:g} of the multiply-accumulates")
        journal.end(chain.run(number, share))
        chain.say(report.told(journal.trials[-1], goals))


def _unprunable(model: Model, registry: Registry) -> str | None:
    """Why the backbone cannot be pruned; None if it can, or may be tried."""
    try:
        check_declared(model, registry)
    except UsageError as error:
        return str(error).partition(";")[0]
    return None


def _check(trials: int, epochs: int, steps: int, batch: int, threads: int, rounds: int) -> None:
    for name, value in (
        ("trials", trials),
        ("batch_size", batch),
        ("threads", threads),
        ("rounds", rounds),
    ):
        if value < 1:
            raise UsageError(f"{name} is {value}; it must be at least 1")
    if epochs and epochs < steps:
        raise UsageError(f"{epochs} epochs are too few for {steps} steps: one each at least")


def _digest(model: Model, dataset: Dataset, recipe: Recipe | None, options: dict[str, Any]) -> str:
    """Of all that decides what a trial comes to: neither targets, gates, nor how many there are."""
    asked = [options, dict(dataset.sha256), None if recipe is None else recipe.hash]
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode() + model.weights() + (model.onnx or b"")).hexdigest()
