"""Prune a trained model: remove channels, fine-tune, and measure the result."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.plugins import plugin_digest
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run, writing_model
from oraclezoo.card.receipt import Receipt
from oraclezoo.choices import PRUNING_RUNTIMES
from oraclezoo.contracts import Dataset
from oraclezoo.engine.device import pick
from oraclezoo.engine.records import Callbacks, Epoch
from oraclezoo.errors import UsageError, VerificationError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.pruning.options import (
    EPOCHS,
    PruneOptions,
    Pruning,
    check_epochs,
)
from oraclezoo.pruning.steps import Steps
from oraclezoo.pruning.workspace import is_finished, working
from oraclezoo.receipts.measurement import Gates, Measurement
from oraclezoo.receipts.notes import CERTAIN
from oraclezoo.receipts.receipt import Step, prove
from oraclezoo.receipts.timing import ROUNDS
from oraclezoo.recipe import Recipe
from oraclezoo.training.finetune import Tuning, images_for, milder, recipe_of


def prune(
    model: Model | Run | str | Path,
    out: str | Path | None = None,
    *,
    macs: float | None = None,
    params: float | None = None,
    latency: float | None = None,
    importance: str = Pruning.importance,
    scope: str | None = None,
    round_to: int = Pruning.round_to,
    steps: int = 1,
    runtime: str = PRUNING_RUNTIMES[0],
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
    on_step: Callable[[float], None] = lambda share: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Remove channels of a trained model, fine-tune the pruned model, and add a receipt.

    Channels are selected by the training images and by the network's structure, weights and
    latency; the receipt is measured on validation images.

    Args:
        model: A model, a run, the folder of either, or a model's name.
        out: Folder to write the model to. If pruning is interrupted, its state is saved there.
        macs: Maximum fraction of the multiply-accumulates to keep, in (0, 1]. Pass exactly one of
            ``macs``, ``params`` and ``latency``.
        params: Maximum fraction of the parameters to keep.
        latency: Maximum fraction of the latency to keep, measured on this machine.
        importance: Measure of importance by which channels are ranked: magnitude, bn-scale, taylor,
            lamp or random.
        scope: Scope of the ranking: ``uniform`` ranks within each layer, ``global`` across all
            layers, and ``isomorphic`` across layers of the same structure. By default isomorphic
            for transformers and uniform for other models.
        round_to: Round the channel count of each layer to a multiple of this number.
        steps: Number of pruning steps, each of which is followed by fine-tuning.
        runtime: Runtime for measuring ``latency``: onnxruntime or eager.
        epochs: Total number of fine-tuning epochs over all steps; 0 for no fine-tuning.
        lr_scale: Factor for the recipe's learning rates.
        distill: Weight in [0, 1] of the distillation loss, with the unpruned model as the teacher.
        temperature: Temperature for distillation.
        recipe: Recipe for fine-tuning; by default the model's training recipe.
        seed: Seed for fine-tuning and for the importance measures random and taylor.
        device: Device for fine-tuning: auto, cpu, cuda, ...
        max_drop: Maximum accepted drop in accuracy, in percentage points.
        max_limit: Maximum accepted one-sided 95% confidence limit of the drop in accuracy, in
            percentage points.
        resume: Resume the unfinished pruning job in ``out``.
        overwrite: Replace a model or an unfinished pruning job in ``out``.
        split: Split for the receipt's measurements: validation or test.
        track: Data set; by default the model's training data set.
        data_dir: Folder with the data set's files.
        results: Folder with the ledger, which records test-set evaluations.
        timed: Whether to measure latency for the receipt.
        rounds: Number of timing rounds.
        settings: Pairs of batch size and number of threads to time; ``latency`` uses the first.
        registry: Registry of components; by default one with all installed plugins.
        on_epoch: Called with the metrics of each fine-tuning epoch.
        on_step: Called after each step of fine-tuning with its finished share, from 0 to 1.
        should_stop: Called regularly; if it returns True, the state is saved and pruning stops.
        progress: Called with one line of text per event.

    Returns:
        The pruned model with its plan and receipt.

    Raises:
        UsageError: An option is invalid, or the backbone cannot be pruned.
        VerificationError: The drop in accuracy exceeds a limit; no model is written.
        InterruptedRunError: ``should_stop`` returned True; call again with ``resume`` to continue.

    Example:
        >>> small = oz.prune("runs/quick-0123456789ab-s0", "small", macs=0.5)
    """
    pruning = Pruning.of_target(
        macs,
        params,
        latency,
        importance=importance,
        scope=scope,
        round_to=round_to,
        steps=steps,
        seed=seed,
        runtime=runtime,
        setting=settings[0] if settings else (1, 1),
    )
    options = PruneOptions(
        pruning=pruning,
        tuning=Tuning(epochs, lr_scale, distill, temperature),
        recipe=recipe,
        device=device,
        gates=Gates(max_drop, max_limit),
        measurement=Measurement(
            track, data_dir, split, results, timed, rounds, tuple(settings or ()) or None
        ),
        resume=resume,
        overwrite=overwrite,
    )
    callbacks = Callbacks(on_epoch, should_stop, progress, on_step)
    return prune_model(model, out, options, registry or build_registry(), callbacks)


@writing_model
def prune_model(
    model: Model | Run | str | Path,
    out: str | Path | None,
    options: PruneOptions,
    registry: Registry,
    callbacks: Callbacks,
) -> Model:
    """Prune a model like :func:`prune`, with the options in one data class."""
    pruning, tuning, measurement = options.pruning, options.tuning, options.measurement
    check_epochs(tuning, pruning.steps)
    opened = open_model(model, registry)
    before = Model(copy.deepcopy(opened.module).to("cpu"), opened.card, detector=opened.detector)
    undeclared = check_prunable(before, registry)
    dataset = open_data(
        before,
        registry,
        track=measurement.track,
        data_dir=measurement.data_dir,
        progress=callbacks.progress,
    )
    own_recipe = tuning_recipe(options.recipe, model, before, registry, needed=tuning.epochs > 0)
    data, mild = None, None
    if tuning.epochs and own_recipe is not None:
        mild = milder(own_recipe, tuning, registry)
        data = images_for(before, mild, dataset, pick(options.device))
    folder = None if out is None else Path(out)
    plugins = plugin_digest(before.card, mild, registry)
    digest = _digest(before, pruning, tuning, dataset, mild, plugins)
    if folder is not None and options.resume and is_finished(folder, digest):
        callbacks.say(f"{folder} is finished")
        return open_model(folder, registry)
    with working(folder, digest, resume=options.resume, overwrite=options.overwrite) as work:
        steps = Steps(
            before=before,
            pruning=pruning,
            tuning=tuning,
            dataset=dataset,
            data=data,
            recipe=mild,
            registry=registry,
            work=work,
            resume=options.resume,
            callbacks=callbacks,
        )
        after, report = steps.run()
        if own_recipe is not None:
            after = Model(after.module, replace(after.card, recipe=own_recipe.to_dict()))
        if opened.detector is not None:  # the detector does not use the pruned weights
            card = replace(after.card, unknown=opened.card.unknown)
            after = Model(after.module, card, detector=opened.detector)
        step = Step("prune", before, after, report)
        receipt = prove(step, dataset, measurement, callbacks.progress)
        receipt = receipt.with_notes(first=tuple(_notes(receipt, undeclared)))
        try:
            options.gates.check(receipt)
        except VerificationError as error:
            if folder is None:
                raise
            raise VerificationError(
                f"{error} except {work}: to continue, use --resume with different limits"
            ) from error
        pruned = after.with_receipt(receipt)
        if folder is not None:
            pruned.save(folder)
    return pruned


def check_prunable(model: Model, registry: Registry) -> bool:
    """Raise UsageError unless the backbone is declared prunable or is named ``timm/...``.

    Return True for backbones named ``timm/...``, which do not declare whether they can be pruned
    (most of them can), and False for backbones that are declared prunable.
    """
    name = model.card.backbone.name
    spec = registry.get("backbone", name).spec
    if spec.name.startswith("timm/"):
        return True
    declared = spec.facts.get("prunable")
    if declared is not True:
        statement = (
            "is declared not to be prunable"
            if declared is False
            else "does not declare that it is prunable"
        )
        reason = spec.facts.get("not_prunable_because")
        raise UsageError(
            f"backbone {spec.name} {statement}{f': {reason}' if reason else ''}; "
            "'oraclezoo list backbones --json' shows which backbones are"
        )
    return False


def tuning_recipe(
    recipe: Recipe | str | Path | None,
    source: Model | Run | str | Path,
    model: Model,
    registry: Registry,
    *,
    needed: bool,
) -> Recipe | None:
    """Return the recipe for fine-tuning, with the track that the model was trained on.

    This is ``recipe`` or, by default, the model's training recipe. If the training recipe is
    unknown and not ``needed``, return None.
    """
    if recipe is None:
        try:
            return recipe_of(source, model, registry)
        except UsageError:
            if needed:
                raise
            return None
    loaded = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    origin = model.card.provenance
    track = None if origin is None else origin.components.get("dataset")
    return loaded.override({} if track is None else {"data.track": track.name})


def _notes(receipt: Receipt, undeclared: bool) -> Iterator[str]:
    speedups = receipt.speedups
    if speedups and all(min(row.low, row.speedup) < CERTAIN for row in speedups):
        yield "pruned but not faster on this machine"
    if undeclared:
        yield "this backbone does not declare that it is prunable; check the accuracy"


def _digest(
    model: Model,
    pruning: Pruning,
    tuning: Tuning,
    dataset: Dataset,
    recipe: Recipe | None,
    plugins: bytes,
) -> str:
    """Return the SHA-256 of all inputs that affect the result; ``--resume`` requires a match."""
    inputs = [
        pruning.document(),
        asdict(tuning),
        dict(dataset.sha256),
        None if recipe is None else recipe.hash,
    ]
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(text.encode() + model.weights() + plugins).hexdigest()
