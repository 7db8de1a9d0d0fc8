"""Compress finished training runs as the ``[compress]`` section of a recipe specifies."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from oraclezoo.artifacts import build
from oraclezoo.artifacts.load import load
from oraclezoo.artifacts.model import GRAPH, WEIGHTS, Model
from oraclezoo.artifacts.provenance import provenance
from oraclezoo.artifacts.record import (
    VARIANT_SCHEMA,
    Outcome,
    Provenance,
    RunRecord,
    SourceRun,
)
from oraclezoo.artifacts.run import Run, folder_name, occupied
from oraclezoo.card import CARD, Card, RecipeId
from oraclezoo.card.receipt import Metrics
from oraclezoo.codec import decode, encode
from oraclezoo.contracts import Dataset
from oraclezoo.engine.deterministic import deterministic as deterministically
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.records import Callbacks
from oraclezoo.errors import InterruptedRunError, ResultError
from oraclezoo.plugins.registry import Registry
from oraclezoo.pruning.options import PruneOptions, Pruning
from oraclezoo.pruning.prune import prune_model
from oraclezoo.quantization.export import export_model
from oraclezoo.quantization.onnx import quantize_onnx
from oraclezoo.quantization.options import Export, Quantization
from oraclezoo.receipts.measurement import Measurement
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.variants import Variant
from oraclezoo.result import timestamp
from oraclezoo.storage import write_atomically
from oraclezoo.training.finetune import FineTuned, Tuning

PRUNED = "pruned"
"""Subfolder of the prune-only variant's folder that holds the pruned and fine-tuned model."""


@dataclass(frozen=True)
class VariantRequest:
    """Request for a compressed variant.

    Attributes:
        recipe: The recipe, with ``[compress]``.
        seed: Seed of the run.
        runs: Folder that receives the variant's folder.
        execution: Device and execution settings.
        resume: Whether to reuse a finished variant and to resume an unfinished one, provided that
            its provenance matches.
    """

    recipe: Recipe
    seed: int
    runs: Path
    execution: Execution = field(default_factory=Execution)
    resume: bool = False


class VariantRun(Run):
    """The folder of a compressed model, with ``variant.json`` instead of ``run.json``."""

    FILE: ClassVar[str] = "variant.json"

    def model(self, keep: str | None = None, registry: Registry | None = None) -> Model:
        """Load the compressed model.

        Args:
            keep: Ignored, because a variant has only one model.
            registry: Registry of components; by default all installed components.

        Returns:
            The compressed model.
        """
        return load(self.folder, registry)

    def _read_files(self) -> None:
        self.model()


def variant_provenance(
    run: Run, request: VariantRequest, registry: Registry, dataset: Dataset
) -> Provenance:
    """Return the inputs that determine a variant or affect its timing.

    The training and validation splits of the data set must already have been read.

    Args:
        run: The finished training run.
        request: Recipe, seed and execution settings.
        registry: Registry of components.
        dataset: The data set.

    Returns:
        The provenance, with the run as ``source``.

    Raises:
        ResultError: If the run is not finished.
    """
    recipe = request.recipe
    weights = run.folder / f"{recipe.train.keep}.safetensors"
    try:
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise ResultError(f"{run.folder} is not a finished run ({error})") from error
    inputs = provenance(recipe, registry, dataset, request.execution, request.seed)
    return replace(inputs, source=SourceRun(digest, run.outcome.train_s))


def compress_run(
    run: Run | str | Path, request: VariantRequest, registry: Registry, callbacks: Callbacks
) -> VariantRun:
    """Compress a finished run.

    The recipe must be the same as the run's except for ``[compress]``. A pruned model is fine-tuned
    with the run's recipe on its training images; int8 quantization is calibrated on training
    images. Receipts are measured on validation images, without latency. The test split is not read.

    Args:
        run: The finished run, or its folder.
        request: Recipe, seed and execution settings.
        registry: Registry of components.
        callbacks: Called during fine-tuning and between steps.

    Returns:
        The folder of the variant.

    Raises:
        UsageError: If the backbone cannot be pruned or exported, or if another process writes to
            the variant's folder.
        VerificationError: If the ONNX file does not match the model.
        ResultError: If the run is not finished.
        InterruptedRunError: If ``callbacks.should_stop`` returned True.
    """
    recipe = resolve(request.recipe, registry)
    run = run if isinstance(run, Run) else Run.load(run)
    run.check()
    variant = VariantRun(request.runs / folder_name(recipe, request.seed))
    with occupied(variant.folder):
        return _compressed(run, variant, replace(request, recipe=recipe), registry, callbacks)


def _compressed(
    run: Run,
    variant: VariantRun,
    request: VariantRequest,
    registry: Registry,
    callbacks: Callbacks,
) -> VariantRun:
    """Compress a finished run to the folder of ``variant``."""
    recipe = request.recipe
    steps = Variant.parse(recipe.compress.steps)
    dataset = build.open_dataset(
        recipe,
        registry,
        request.execution.data_dir,
        callbacks.progress,
        request.execution.stream_limit(),
    )
    dataset.split("train"), dataset.split("validation")  # the provenance includes their digests
    inputs = variant_provenance(run, request, registry, dataset)
    if request.resume and _is_finished(variant, inputs):
        return variant
    for stale in (variant.FILE, "score.safetensors", CARD, WEIGHTS, GRAPH):
        (variant.folder / stale).unlink(missing_ok=True)
    variant.folder.mkdir(parents=True, exist_ok=True)
    variant.write(
        RunRecord(
            provenance=inputs,
            started=timestamp(),
            status="running",
            reason=None,
            parts=(),
            pretrained=None,
            taught=None,
            schema=VARIANT_SCHEMA,
        )
    )
    model, fine_tuned = run.model(registry=registry), list[FineTuned]()
    measurement = Measurement(data_dir=request.execution.data_dir, timed=False)
    try:
        if steps.left is not None:
            pruned = recipe.override({"compress.steps": str(Variant(steps.left))})
            prune_only = replace(request, recipe=resolve(pruned, registry))
            pruned_inputs = variant_provenance(run, prune_only, registry, dataset)
            with deterministically(request.execution.deterministic):
                model = _pruned(model, prune_only, pruned_inputs, registry, callbacks)
            entries = model.card.receipts[-1].options["fine_tuned"]
            fine_tuned = [decode(FineTuned, entry) for entry in entries]
        model = Model(model.module, _with_recipe(model.card, recipe), detector=model.detector)
        _check_stop(callbacks.should_stop, variant)
        model = export_model(model, None, Export(), measurement, registry, callbacks.progress)
        _check_stop(callbacks.should_stop, variant)
        if steps.precision != "fp32":
            quantization = Quantization(steps.precision, measurement=measurement)
            model = quantize_onnx(model, None, quantization, registry, callbacks.progress)
    except (InterruptedRunError, KeyboardInterrupt):
        variant.end("interrupted")
        raise
    except BaseException as error:
        variant.end("failed", f"{type(error).__name__}: {error}")
        raise
    model.save(variant.folder)
    after = model.card.receipts[-1].after
    variant.finish(_outcome(run.outcome, fine_tuned, after, recipe.budget.batch_size))
    return variant


def _is_finished(variant: VariantRun, inputs: Provenance) -> bool:
    """Return whether a variant is finished and has the given provenance."""
    try:
        variant.check()
    except ResultError:
        return False
    return variant.record.provenance == inputs


def _pruned(
    model: Model,
    request: VariantRequest,
    inputs: Provenance,
    registry: Registry,
    callbacks: Callbacks,
) -> Model:
    """Prune and fine-tune the model, or load the pruned model of an earlier variant.

    Variants that start with the same pruning step share one pruned model, which is stored in the
    folder of the prune-only variant.
    """
    recipe = request.recipe
    folder = request.runs / folder_name(recipe, request.seed) / PRUNED
    stamp = folder / "asked.json"
    text = json.dumps(encode(inputs), indent=2, sort_keys=True)
    same_inputs = stamp.is_file() and stamp.read_text(encoding="utf-8") == text
    if same_inputs:
        try:
            return load(folder, registry)
        except ResultError:  # unfinished or unreadable
            (folder / CARD).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        write_atomically(stamp, text.encode())
    section, left = recipe.compress, Variant.parse(recipe.compress.steps).left
    assert left is not None
    options = PruneOptions(
        pruning=Pruning(
            "macs",
            left / 100,
            importance=section.importance,
            scope=None if section.scope == "auto" else section.scope,
            seed=request.seed,
        ),
        tuning=Tuning(section.epochs, section.lr_scale, section.distill),
        device=request.execution.device,
        measurement=Measurement(data_dir=request.execution.data_dir, timed=False),
        resume=same_inputs,
    )
    return prune_model(model, folder, options, registry, callbacks)


def _with_recipe(card: Card, recipe: Recipe) -> Card:
    """Return the card with the full recipe, so that test-set evaluations are counted for it."""
    assert card.provenance is not None
    origin = replace(card.provenance, recipe=RecipeId(recipe.name, recipe.hash))
    return replace(card, recipe=recipe.to_dict(), provenance=origin)


def _check_stop(should_stop: Callable[[], bool], variant: VariantRun) -> None:
    if should_stop():
        raise InterruptedRunError(f"stopped; the finished parts of {variant.folder} are kept")


def _outcome(
    trained: Outcome, fine_tuned: list[FineTuned], after: Metrics, batch_size: int
) -> Outcome:
    """Return the outcome in a training run's format; times include training and fine-tuning."""
    examples = sum(step.examples for step in fine_tuned)
    held_out = trained.validation_accuracy is not None
    return Outcome(
        steps=trained.steps + examples // batch_size,
        examples=trained.examples + examples,
        train_s=trained.train_s + sum(step.train_s for step in fine_tuned),
        compile_s=trained.compile_s,
        validation_accuracy=after.accuracy if held_out else None,
        validation_loss=after.loss if held_out else None,
        peak_memory_bytes=trained.peak_memory_bytes,
    )
