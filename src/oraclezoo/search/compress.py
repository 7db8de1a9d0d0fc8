"""Compress a model: search pruning and quantization for the best model within given limits."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.plugins import plugin_digest
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run, writing_model
from oraclezoo.choices import AUTO
from oraclezoo.contracts import Dataset
from oraclezoo.engine.records import Callbacks, Epoch
from oraclezoo.errors import InterruptedRunError, UsageError, VerificationError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.pruning.options import EPOCHS, Pruning
from oraclezoo.pruning.prune import check_prunable, tuning_recipe
from oraclezoo.pruning.workspace import is_finished, working
from oraclezoo.quantization.export import export_model
from oraclezoo.quantization.options import IMAGES, Export, Int8
from oraclezoo.receipts.measurement import Measurement
from oraclezoo.receipts.receipt import receipt, side
from oraclezoo.receipts.timing import ROUNDS, Subject, time_in_turn
from oraclezoo.recipe import Recipe
from oraclezoo.search import report
from oraclezoo.search.goals import Goals, best
from oraclezoo.search.journal import Candidate, Journal, Trial
from oraclezoo.search.options import TRIALS, Compression, Timing
from oraclezoo.search.proposals import next_share
from oraclezoo.search.trial import RUNTIME, Chain, is_original, relative_latency
from oraclezoo.training.finetune import Tuning, milder

FOLDER, JOURNAL = "compression", "journal.jsonl"
"""Name of the working directory in the model's folder, and of the journal in that directory."""
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
    importance: str = Pruning.importance,
    scope: str | None = None,
    round_to: int = Pruning.round_to,
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
    on_step: Callable[[float], None] = lambda share: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Find the best compressed model that meets latency, size and accuracy limits.

    Each trial prunes the model to a fraction of its multiply-accumulates (the first trial prunes
    nothing), fine-tunes, exports and quantizes it, which produces a float and an int8 candidate.
    Candidates are selected on validation images. The latency of the selected candidate is measured
    again; if it then misses the target, the next best candidate is selected. If the backbone cannot
    be pruned, the model is only quantized.

    Args:
        model: A model, a run, the folder of either, or the name of a model.
        out: Folder for the model and ``pareto.svg``. An interrupted search keeps its state in this
            folder.
        latency: Target latency, as a fraction of the median latency of the model's float ONNX file
            in ONNX Runtime. Pass ``latency``, ``size`` or both.
        size: Target size, as a fraction of the size of the model's float ONNX file.
        max_drop: Maximum drop in validation accuracy, in percentage points.
        max_limit: Maximum of the one-sided 95% upper confidence limit of that drop, in percentage
            points.
        trials: Maximum number of trials; the search ends earlier if no further trial would be
            informative.
        importance: See :func:`oraclezoo.prune`, as for ``scope``, ``round_to``, ``steps``,
            ``epochs``, ``lr_scale``, ``distill``, ``temperature``, ``recipe`` and ``device``.
        calibration: See :func:`oraclezoo.quantize`, as for ``images`` and ``sensitivity``.
        seed: Random seed for fine-tuning and for the importance measures random and taylor.
        batch_size: Batch size for latency measurements.
        threads: Number of threads for latency measurements.
        rounds: Number of rounds of latency measurements.
        resume: Resume the unfinished search in ``out`` without repeating finished trials.
        overwrite: Replace a model or an unfinished search in ``out``.
        split: Split for the measurements in the last receipt: validation or test.
        track: Track whose data set is used; by default the track that the model was trained on.
        data_dir: Folder with the files of the data set; None for the default folders.
        results: Results folder whose ledger records a test-set evaluation.
        registry: Registry of components; by default all installed components.
        on_epoch: Called after each epoch of fine-tuning.
        on_step: Called after each step of fine-tuning with the finished share of the maximum number
            of trials, from 0 to 1.
        should_stop: Called regularly; if it returns True, the search stops and keeps its state.
        progress: Called with one line of text at a time.

    Returns:
        The selected model. Its card has a receipt for each step, and a summary receipt that lists
            all candidates.

    Raises:
        UsageError: An option is invalid, there is no target, or the model is already quantized.
        VerificationError: No candidate meets all limits; no model is written.
        InterruptedRunError: ``should_stop`` returned True; ``resume`` continues the search.

    Example:
        >>> small = oz.compress("runs/quick-0123456789ab-s0", latency=0.5, max_drop=0.5)
    """
    compression = Compression(
        goals=Goals(latency, size, max_drop, max_limit),
        pruning=Pruning("macs", 1.0, importance, scope, round_to, steps, seed),
        tuning=Tuning(epochs, lr_scale, distill, temperature),
        int8=Int8(calibration, images, sensitivity),
        timing=Timing(batch_size, threads, rounds),
        trials=trials,
        recipe=recipe,
        device=device,
        measurement=Measurement(track=track, data_dir=data_dir, split=split, results=results),
        resume=resume,
        overwrite=overwrite,
    )
    callbacks = Callbacks(on_epoch, should_stop, progress, on_step)
    return compress_model(model, out, compression, registry or build_registry(), callbacks)


@writing_model
def compress_model(
    model: Model | Run | str | Path,
    out: str | Path | None,
    options: Compression,
    registry: Registry,
    callbacks: Callbacks,
) -> Model:
    """Compress a model like :func:`compress`, with the options in a record."""
    opened = open_model(model, registry).as_float()
    if opened.precision != "fp32":
        raise UsageError(
            f"this model is already {opened.precision}: compress the float model instead"
        )
    bare = Model(
        copy.deepcopy(opened.module).to("cpu"), opened.card, opened.onnx, detector=opened.detector
    )
    unprunable = _unprunable(bare, registry)
    measurement = options.measurement
    dataset = open_data(
        bare,
        registry,
        track=measurement.track,
        data_dir=measurement.data_dir,
        progress=callbacks.progress,
    )
    needed = options.tuning.epochs > 0 and not unprunable
    recipe = tuning_recipe(options.recipe, model, bare, registry, needed=needed)
    tunes = options.tuning.epochs and recipe is not None
    mild = milder(recipe, options.tuning, registry) if tunes and recipe is not None else None
    plugins = plugin_digest(bare.card, mild, registry)
    digest = _digest(bare, dataset, mild, options, plugins)
    folder = None if out is None else Path(out)
    if folder is not None and options.resume and is_finished(folder, digest, FOLDER):
        callbacks.say(f"{folder} is finished")
        return open_model(folder, registry)
    with working(
        folder, digest, resume=options.resume, overwrite=options.overwrite, name=FOLDER
    ) as work:
        if bare.onnx is None:
            bare = export_model(
                bare, None, Export(), options.data_only, registry, callbacks.progress
            )
        before = side(Subject(bare, RUNTIME), dataset, replace(measurement, split="validation"))
        chain = Chain(model, bare, before, dataset, options, registry, work, callbacks)
        journal = Journal(work / JOURNAL)
        if not journal.trials:
            journal.begin(bare.card.backbone, options.timing.setting)
        if unprunable:
            callbacks.say(f"{unprunable}; only int8 is tried")
        if before.learned:
            callbacks.say(
                "the model was trained on the validation images: measured drops may be misleading"
            )
        selected = _select(chain, journal, 1 if unprunable else options.trials)
        summary = report.Summary(chain, tuple(journal.trials), selected and selected[:2])
        if selected is None:
            failure = report.failure(summary, unprunable)
            if folder is not None:
                report.figure(summary, work, callbacks.say)
                failure += f"; the plot is in {work}; to continue, use --resume"
            raise VerificationError(failure)
        _, candidate, pair = selected
        first, last = (side(subject, dataset, measurement) for subject in pair)
        findings = report.CompressionReport(options, candidate, summary)
        proof = receipt("compress", first, last, findings)
        proof = proof.with_notes(first=tuple(report.notes(summary, measurement.split, unprunable)))
        compressed = pair[1].model.with_receipt(proof)
        if folder is not None:
            report.figure(summary, folder, callbacks.say)
            compressed.save(folder)
    return compressed


def _select(
    chain: Chain, journal: Journal, trials: int
) -> tuple[Trial, Candidate, tuple[Subject, Subject]] | None:
    """Run the trials, and return the best candidate, timed again alongside the original.

    The fastest of many noisy measurements is biased toward low latency. A candidate that misses the
    target in the second measurement is rejected, and the search continues without it.
    """
    settings = [chain.setting, (LARGE_BATCH, torch.get_num_threads())]
    goals = chain.goals
    while True:
        _search(chain, journal, trials)
        choice = best(journal.trials, goals)
        if choice is None:
            return None
        trial, candidate = choice
        chain.say(f"timing the best candidate again: {report.words(candidate)}")
        pair = Subject(chain.original, RUNTIME), Subject(chain.model(trial, candidate), RUNTIME)
        time_in_turn(
            pair, settings=list(dict.fromkeys(settings)), rounds=chain.options.timing.rounds
        )
        second, _ = relative_latency(*pair)
        if goals.latency is None or second <= goals.latency or is_original(trial, candidate):
            return trial, candidate, pair
        chain.say(f"rejected: its latency is now {second:.3f} of the original's")
        journal.again(trial, candidate, second)


def _search(chain: Chain, journal: Journal, trials: int) -> None:
    """Run trials until the maximum number is reached or no further trial would be informative."""
    while len(journal.trials) < trials:
        share = next_share(journal.trials, chain.goals)
        if share is None:
            return
        if chain.callbacks.should_stop():
            raise InterruptedRunError(
                f"stopped after {len(journal.trials)} trials, which are saved; run the same "
                "command with --resume to continue"
            )
        number = len(journal.trials) + 1
        chain.say(f"trial {number} of at most {trials}: {share:g} of the multiply-accumulates")
        part = chain.callbacks.within((number - 1) / trials, number / trials)
        journal.end(replace(chain, callbacks=part).run(number, share))
        chain.say(report.outcome(journal.trials[-1], chain.goals))


def _unprunable(model: Model, registry: Registry) -> str | None:
    """Return why the backbone cannot be pruned, or None if it may be prunable."""
    try:
        check_prunable(model, registry)
    except UsageError as error:
        return str(error).partition(";")[0]
    return None


def _digest(
    model: Model, dataset: Dataset, recipe: Recipe | None, options: Compression, plugins: bytes
) -> str:
    """Return the SHA-256 of all inputs that affect a trial; ``--resume`` requires it to match.

    Targets, accuracy limits and the number of trials do not affect a trial, so they may differ on
    ``--resume``.
    """
    inputs = [options.hashed(), dict(dataset.sha256), None if recipe is None else recipe.hash]
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(
        text.encode() + model.weights() + (model.onnx or b"") + plugins
    ).hexdigest()
