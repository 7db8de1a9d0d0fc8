"""Variant: what a recipe's ``[compress]`` makes of a trained run, as a model folder beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from oraclezoo.artifacts import build
from oraclezoo.artifacts.model import CARD, GRAPH, WEIGHTS, Model, load
from oraclezoo.artifacts.record import provenance
from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.contracts import Dataset
from oraclezoo.engine.deterministic import deterministic as deterministically
from oraclezoo.engine.device import pick
from oraclezoo.engine.records import Epoch
from oraclezoo.engine.streaming import stream_limit
from oraclezoo.errors import InterruptedRunError, OracleZooError, ResultError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.pruning.prune import prune
from oraclezoo.quantization.export import export
from oraclezoo.quantization.onnx import quantize
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.variants import Variant
from oraclezoo.result import timestamp, write_atomically

SCHEMA = "oraclezoo/variant/1"
PRUNED = "pruned"
"""Folder of the pruned and fine-tuned net, in that of the recipe which prunes and does no more."""


class Made(Run):
    """A model folder made of a run; ``variant.json`` is to it what ``run.json`` is to a run."""

    FILE: ClassVar[str] = "variant.json"

    def model(self, keep: str | None = None, registry: Registry | None = None) -> Model:
        """The compressed model; there is one alone, whatever ``keep`` says."""
        return load(self.folder, registry)

    def check(self) -> None:
        """Raise ResultError unless this is finished and its files can be read."""
        try:
            if self.record["status"] != "done" or "examples" not in self.record["outcome"]:
                raise ResultError("it is not finished")
            self.model()
        except (OracleZooError, KeyError, TypeError) as error:
            raise ResultError(f"{self.folder} is damaged ({error}); make it anew") from error


def identity(
    run: Run,
    recipe: Recipe,
    registry: Registry,
    dataset: Dataset,
    device: str,
    seed: int,
    *,
    compile: str = "auto",
    deterministic: bool = False,
) -> dict[str, Any]:
    """What is equal in two variants that come out the same, times included.

    ``run`` is the finished training, ``recipe`` the one that compresses it. The data set's training
    and validation parts must have been read.
    """
    weights = run.folder / f"{recipe.train.keep}.safetensors"
    try:
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        train_s = run.record["outcome"]["train_s"]
    except (OSError, KeyError) as error:
        raise ResultError(f"{run.folder} is not a finished run ({error})") from error
    made_of = {"weights_sha256": digest, "train_s": train_s}
    place = pick(device)
    here = provenance(
        recipe, registry, dataset, place, seed, compile=compile, deterministic=deterministic
    )
    return {**here, "run": made_of}


def make(
    run: Run | str | Path,
    recipe: Recipe,
    *,
    seed: int,
    runs: str | Path,
    data_dir: str | Path | None = None,
    device: str = "auto",
    compile: str = "auto",
    deterministic: bool = False,
    resume: bool = False,
    stream_above: int | str | None = None,
    registry: Registry | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] | None = None,
) -> Made:
    """Compress a finished run as the ``[compress]`` of a recipe says: the folder of the variant.

    The recipe is the run's own but for that section, and so is the ``seed``. The variant lies in
    the folder ``runs``: a model folder with ``variant.json``. A pruned net is fine-tuned by the
    run's recipe and its training images, ranges of int8 come from training images, receipts are
    measured on validation images and have no times. A finished variant is returned as it is if
    ``resume``, and a fine-tuning goes on where it stopped, as long as it is of the same run.

    Raises UsageError for a net that cannot be pruned or exported, VerificationError if the ONNX
    file does not do what the net does, ResultError, InterruptedRunError.
    """
    registry = registry or build_registry()
    recipe = resolve(recipe, registry)
    steps, place = Variant.parse(recipe.compress.steps), Path(runs)
    run = run if isinstance(run, Run) else Run.load(run)
    run.check()
    found = Made(place / folder_name(recipe, seed))
    dataset = build.open_dataset(
        recipe,
        registry,
        None if data_dir is None else Path(data_dir),
        progress,
        stream_limit(stream_above, pick(device)),
    )
    dataset.split("train"), dataset.split("validation")  # their digests are part of what it is
    same: dict[str, Any] = {"compile": compile, "deterministic": deterministic}
    here = identity(run, recipe, registry, dataset, device, seed, **same)
    if resume and _finished(found, here):
        return found
    for stale in (found.FILE, "score.safetensors", CARD, WEIGHTS, GRAPH):
        (found.folder / stale).unlink(missing_ok=True)
    found.folder.mkdir(parents=True, exist_ok=True)
    found.update(**here, schema=SCHEMA, started=timestamp(), status="running")
    model, tuned = run.model(registry=registry), list[dict[str, Any]]()
    given: dict[str, Any] = {"data_dir": data_dir, "timed": False, "registry": registry}
    try:
        if steps.left is not None:
            alone = resolve(recipe.override({"compress.steps": str(Variant(steps.left))}), registry)
            with deterministically(deterministic):
                model = _pruned(
                    model,
                    alone,
                    place / folder_name(alone, seed) / PRUNED,
                    identity(run, alone, registry, dataset, device, seed, **same),
                    device=device,
                    seed=seed,
                    on_epoch=on_epoch,
                    should_stop=should_stop,
                    progress=progress,
                    **given,
                )
            tuned = model.card["receipts"][-1]["options"]["fine_tuned"]
        model = Model(model.module, _card(model.card, recipe))
        _go_on(should_stop, found)
        model = export(model, progress=progress, **given)
        _go_on(should_stop, found)
        if steps.precision != "fp32":
            model = quantize(model, precision=steps.precision, progress=progress, **given)
    except (InterruptedRunError, KeyboardInterrupt):
        found.update(status="interrupted")
        raise
    except BaseException as error:
        found.update(status="failed", reason=f"{type(error).__name__}: {error}")
        raise
    model.save(found.folder)
    outcome = _outcome(run.record["outcome"], tuned, model.card["receipts"][-1], recipe)
    found.update(status="done", finished=timestamp(), outcome=outcome)
    return found


def _finished(found: Made, here: dict[str, Any]) -> bool:
    try:
        found.check()
        record = found.record
    except ResultError:
        return False
    return all(record.get(key) == value for key, value in here.items())


def _pruned(
    model: Model,
    recipe: Recipe,
    folder: Path,
    here: dict[str, Any],
    *,
    seed: int,
    **given: Any,
) -> Model:
    """The net pruned and fine-tuned, kept in a folder for all variants that begin with that."""
    asked = folder / "asked.json"
    text = json.dumps(here, indent=2, sort_keys=True)
    kept = asked.is_file() and asked.read_text(encoding="utf-8") == text
    if kept:
        try:
            return load(folder, given["registry"])
        except ResultError:  # not finished, or damaged
            (folder / CARD).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        write_atomically(asked, text.encode())
    options, left = recipe.compress, Variant.parse(recipe.compress.steps).left
    assert left is not None
    return prune(
        model,
        folder,
        macs=left / 100,
        importance=options.importance,
        scope=None if options.scope == "auto" else options.scope,
        epochs=options.epochs,
        lr_scale=options.lr_scale,
        distill=options.distill,
        seed=seed,
        resume=kept,
        **given,
    )


def _card(card: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The card of what the whole recipe makes, so that looks at test images count for it."""
    made_by = {"name": recipe.name, "hash": recipe.hash}
    return {
        **card,
        "recipe": recipe.to_dict(),
        "provenance": {**card["provenance"], "recipe": made_by},
    }


def _go_on(should_stop: Callable[[], bool], found: Made) -> None:
    if should_stop():
        raise InterruptedRunError(f"stopped; what is finished of {found.folder} is kept")


def _outcome(
    trained: dict[str, Any],
    tuned: list[dict[str, Any]],
    receipt: dict[str, Any],
    recipe: Recipe,
) -> dict[str, Any]:
    """As a run has it: steps, examples and time of the training and of the fine-tuning together."""
    examples = sum(part["examples"] for part in tuned)
    after = receipt["after"]
    return {
        "steps": trained["steps"] + examples // recipe.budget.batch_size,
        "examples": trained["examples"] + examples,
        "train_s": trained["train_s"] + sum(part["train_s"] for part in tuned),
        "compile_s": trained["compile_s"],
        "validation_accuracy": after["accuracy"],
        "validation_loss": after["loss"],
        "peak_memory_bytes": trained["peak_memory_bytes"],
    }
