"""Pruning of a run into a model folder: results, receipts, resuming and errors."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import oraclezoo as oz
from oraclezoo.artifacts.model import CARD, Model
from oraclezoo.card import Backbone, RecipeId
from oraclezoo.errors import (
    InterruptedRunError,
    ResultError,
    UsageError,
    VerificationError,
)
from oraclezoo.measure import size
from oraclezoo.plugins.registry import build_registry
from oraclezoo.pruning.cost import cost
from oraclezoo.pruning.workspace import FOLDER
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.finetune import Tuning, milder, recipe_of

REGISTRY = build_registry()
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16), dtype=np.uint8)

Prune = Callable[..., Model]


@pytest.fixture
def prune(tiny_run: Path, tiny_idx: Path) -> Prune:
    """Prune the tiny run with short fine-tuning."""

    def run(out: Path | None = None, source: Any = tiny_run, **changes: Any) -> Model:
        target = {} if {"params", "latency", "macs"} & set(changes) else {"macs": 0.6}
        quick = {"epochs": 2, "round_to": 2, "timed": False, "device": "cpu"}
        return oz.prune(source, out, data_dir=tiny_idx, **{**target, **quick, **changes})

    return run


def same(one: Model, other: Model) -> bool:
    """Return whether all weights are bit-identical."""
    a, b = one.module.state_dict(), other.module.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_fresh_process_gives_the_same_to_the_last_bit(prune: Prune, tmp_path: Path) -> None:
    """The network is rebuilt from its spec and plan, without torch-pruning's graph."""
    model = prune(tmp_path / "out", importance="magnitude")
    np.save(tmp_path / "images.npy", IMAGES)
    code = (
        "import sys, numpy, oraclezoo\n"
        "model = oraclezoo.load(sys.argv[1])\n"
        "found = model.predict(numpy.load(sys.argv[2])).probabilities\n"
        "numpy.save(sys.argv[3], found)\n"
        "assert 'torch_pruning' not in sys.modules\n"
    )
    files = [tmp_path / "out", tmp_path / "images.npy", tmp_path / "found.npy"]
    subprocess.run([sys.executable, "-c", code, *map(str, files)], check=True)
    loaded = np.load(tmp_path / "found.npy")
    assert loaded.tobytes() == model.predict(IMAGES).probabilities.tobytes()


@pytest.mark.parametrize("what", ["macs", "params"])
def test_the_target_is_met_and_the_receipt_says_how(
    prune: Prune, tiny_run: Path, what: str
) -> None:
    """The receipt's figures equal those computed from the network."""
    model = prune(**{what: 0.5})
    receipt = model.card.receipts[-1].to_json()
    before = oz.Run.load(tiny_run).model().module
    counted = {
        "macs": lambda net: size.macs(net, in_chans=1, image_size=16),
        "params": size.parameters,
    }[what]
    assert receipt["options"]["reached"] == counted(model.module) / counted(before)
    assert 0.3 < receipt["options"]["reached"] <= 0.5
    assert receipt["step"] == "prune"
    assert receipt["options"][what] == 0.5
    assert receipt["options"]["whole"]["whiten"] == "whiten is frozen"
    assert receipt["options"]["fine_tuned"][0]["epochs"] == 2
    assert receipt["before"]["parameters"] > receipt["after"]["parameters"]
    assert receipt["after"]["accuracy"] > 0.8
    assert torch.equal(model.module.whiten.weight, before.whiten.weight)  # type: ignore[union-attr,arg-type]  # a submodule


def test_stopped_anywhere_it_goes_on_to_the_same_end(prune: Prune, tmp_path: Path) -> None:
    """Resuming after an interruption in either fine-tuning keeps the selected channels."""
    whole = prune(tmp_path / "whole", steps=2, epochs=4)
    for after in (5, 25):
        out, calls = tmp_path / str(after), 0

        def should_stop(after: int = after) -> bool:
            nonlocal calls
            calls += 1
            return calls == after

        with pytest.raises(InterruptedRunError, match="--resume"):
            prune(out, steps=2, epochs=4, should_stop=should_stop)
        assert not (out / CARD).exists()
        resumed = prune(out, steps=2, epochs=4, resume=True)
        assert same(whole, resumed)
        assert resumed.card.plan == whole.card.plan
        assert not (out / FOLDER).exists()


def test_steps_share_the_epochs_and_approach_the_target(prune: Prune, tmp_path: Path) -> None:
    """Each step is fine-tuned; one plan covers both, and a reloaded model is equal."""
    messages: list[str] = []
    model = prune(tmp_path / "out", steps=2, epochs=3, macs=0.4, progress=messages.append)
    left = [float(line.split()[4]) for line in messages if line.startswith("step")]
    assert left[0] <= 0.4**0.5
    assert left[1] <= 0.4 < left[0]
    tuned = model.card.receipts[-1].options["fine_tuned"]
    assert [part["epochs"] for part in tuned] == [1, 2]
    assert same(model, oz.load(tmp_path / "out"))


def test_a_pruned_model_can_be_pruned_again(prune: Prune, tmp_path: Path) -> None:
    """Its folder suffices: the card has the recipe, and the plans are combined."""
    first = prune(tmp_path / "one", epochs=1)
    again = prune(tmp_path / "two", source=tmp_path / "one", epochs=1)
    assert len(again.card.receipts) == 2
    assert size.parameters(again.module) < size.parameters(first.module)
    loaded = oz.load(tmp_path / "two")
    assert same(again, loaded)
    assert np.array_equal(loaded.predict(IMAGES)[1], again.predict(IMAGES)[1])


def test_the_unpruned_model_teaches(prune: Prune) -> None:
    """Distillation changes the weights and is recorded in the receipt."""
    alone, taught = prune(), prune(distill=0.9)
    assert alone.card.plan == taught.card.plan
    assert not same(alone, taught)
    options = taught.card.receipts[-1].options
    assert (options["distill"], options["temperature"]) == (0.9, 2.0)


def test_random_is_a_control_that_can_be_run_again(prune: Prune) -> None:
    """Random importance is reproducible by seed."""
    first, again, other = (
        prune(importance="random", epochs=0, seed=seed).card.plan["cuts"] for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_crossed_gate_writes_no_model_and_keeps_the_work(prune: Prune, tmp_path: Path) -> None:
    """The error states the drop; resuming with another gate does not train again."""
    out, epochs = tmp_path / "out", []
    hard = {"macs": 0.25, "importance": "random", "epochs": 1, "lr_scale": 1e-3}
    with pytest.raises(VerificationError, match=r"prune lost [\d.]+ points .* --resume"):
        prune(out, max_drop=0.0, **hard)
    assert not (out / CARD).exists()
    model = prune(out, resume=True, on_epoch=epochs.append, max_drop=100.0, **hard)
    assert epochs == []
    assert same(model, oz.load(out))


def test_a_model_or_an_unfinished_pruning_is_not_overwritten(prune: Prune, tmp_path: Path) -> None:
    """Overwriting needs a flag, and resuming requires the same options."""
    out = tmp_path / "out"
    prune(out, epochs=0)
    with pytest.raises(UsageError, match="already contains a model"):
        prune(out, epochs=0)
    prune(out, epochs=0, overwrite=True)
    with pytest.raises(InterruptedRunError):
        prune(out, overwrite=True, should_stop=lambda: True)
    with pytest.raises(UsageError, match="unfinished pruning"):
        prune(out)
    with pytest.raises(UsageError, match="different options"):
        prune(out, resume=True, macs=0.5)
    (out / FOLDER / "step-1" / "plan.json").write_text("{")
    with pytest.raises(ResultError, match="is corrupt"):
        prune(out, resume=True)


def test_the_test_split_is_never_touched(prune: Prune, tiny_idx: Path, tmp_path: Path) -> None:
    """Pruning succeeds with a corrupt test file."""
    for path in tiny_idx.iterdir():
        content = b"not images" if path.name.startswith("t10k-images") else path.read_bytes()
        (tmp_path / path.name).write_bytes(content)
    dataset = REGISTRY.create("dataset", "idx", data_dir=tmp_path)
    with pytest.raises(Exception, match="t10k"):
        dataset.split("test")
    run = oz.Run.load(_only_run(tiny_idx, tmp_path))
    oz.prune(run, macs=0.6, round_to=2, epochs=1, timed=False, data_dir=tmp_path, device="cpu")


def _only_run(data: Path, broken: Path) -> Path:
    """Train a run on the data before the test file is corrupted."""
    changes: dict[str, object] = {
        "backbone.name": "lenet5",
        "budget.epochs": 1,
        "budget.batch_size": 16,
        "data.track": "idx",
    }
    recipe = oz.Recipe.load("default", changes)
    return oz.train(recipe, data_dir=data, out=broken / "runs", device="cpu").folder


def without_recipe(run: Path, recipe: RecipeId | None = None) -> Model:
    """The model of a run with at most name and hash of a recipe in its card."""
    model = oz.Run.load(run).model()
    assert model.card.provenance is not None
    origin = replace(model.card.provenance, recipe=recipe or model.card.provenance.recipe)
    return Model(model.module, replace(model.card, recipe=None, provenance=origin))


def test_a_model_that_does_not_tell_its_recipe(
    prune: Prune, tiny_run: Path, tmp_path: Path
) -> None:
    """Without a recipe in the card, fine-tuning requires one; pruning alone does not."""
    model = without_recipe(tiny_run)
    model.save(tmp_path / "model")
    with pytest.raises(UsageError, match="--recipe"):
        prune(source=tmp_path / "model")
    prune(source=tmp_path / "model", epochs=0)
    recipe = Recipe.load("default", {"budget.batch_size": 16, "data.refit": False})
    model = prune(source=tmp_path / "model", recipe=recipe)
    assert model.card.recipe["data"]["track"].endswith("idx")


def test_a_model_tells_its_own_recipe_to_the_whole_chain(tiny_run: Path, tiny_idx: Path) -> None:
    """Prune, export and quantize use the recipe in the card."""
    model = oz.Run.load(tiny_run).model()
    arguments: dict[str, Any] = {"data_dir": tiny_idx, "timed": False}
    pruned = oz.prune(model, macs=0.5, epochs=1, round_to=1, **arguments)
    small = oz.quantize(oz.export(pruned, **arguments), **arguments)
    assert [receipt.step for receipt in small.card.receipts] == ["prune", "export", "quantize"]
    assert small.card.recipe["name"] == oz.Run.load(tiny_run).recipe.name


def test_a_shipped_recipe_is_known_by_name_and_hash(tiny_run: Path) -> None:
    """A card with another hash does not match the bundled recipe."""
    shipped = resolve(Recipe.load("default", {"data.track": "idx"}), REGISTRY)
    model = without_recipe(tiny_run, RecipeId("default", shipped.hash))
    assert recipe_of(model, model, REGISTRY) == shipped
    model = without_recipe(tiny_run, RecipeId("default", "0" * 64))
    with pytest.raises(UsageError, match="--recipe"):
        recipe_of(model, model, REGISTRY)


def test_a_milder_recipe_keeps_the_optimizer_and_trains_on_training_images_only() -> None:
    """Only learning rates are scaled; refit, pre-training and teachers are removed."""
    changes: dict[str, object] = {"data.refit": True, "pretrain.epochs": 2, "distill.teachers": 2}
    recipe = Recipe.load("default", changes)
    own = resolve(recipe, REGISTRY)
    mild = milder(recipe, Tuning(7, lr_scale=0.1, distill=0.3, temperature=4.0), REGISTRY)
    for key, value in own.optimizer.options.items():
        scaled = key == "lr" or key.endswith("_lr")
        assert mild.optimizer.options[key] == (0.1 * value if scaled else value)  # type: ignore[operator]  # a float
    assert mild.optimizer.name == own.optimizer.name
    assert (mild.scheduler.name, mild.budget.epochs) == ("oraclezoo:linear", 7)
    assert (mild.data.refit, mild.pretrain.epochs, mild.distill.teachers) == (False, 0, 0)
    assert (mild.distill.weight, mild.distill.temperature) == (0.3, 4.0)
    assert mild.augment == own.augment


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"macs": 0.5, "params": 0.5}, "one of macs"),
        ({"macs": 0.0}, "above 0"),
        ({"macs": 1.5}, "at most 1"),
        ({"importance": "looks"}, "must be one of magnitude"),
        ({"scope": "local"}, "must be one of"),
        ({"runtime": "abacus"}, "must be one of"),
        ({"round_to": 0}, "at least 1"),
        ({"steps": 3, "epochs": 2}, "too few for 3 steps"),
        ({"macs": 1e-6}, "cannot be reached"),
        ({"resume": True}, "without a folder"),
    ],
)
def test_invalid_options(prune: Prune, changes: dict[str, Any], why: str) -> None:
    """Each raises a UsageError that names the option."""
    with pytest.raises(UsageError, match=why):
        prune(**changes)


def test_one_target_is_needed(tiny_run: Path) -> None:
    """Exactly one target is required."""
    with pytest.raises(UsageError, match="one of macs, params and latency"):
        oz.prune(tiny_run)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ("{}", "does not declare that it is prunable"),
        ("{'prunable': False}", "is declared not to be prunable"),
    ],
)
def test_a_backbone_not_declared_prunable_is_refused(
    site: Any, tiny_run: Path, facts: str, why: str
) -> None:
    """The fact in the spec decides before any computation."""
    spec = f"Spec('backbone', 'mine', 'oraclezoo.zoo.backbones.lenet:LeNet5', 'x', facts={facts})"
    site.add("acme", f"@hookimpl\ndef oraclezoo_backbones():\n    return [{spec}]\n")
    registry = build_registry()
    module = registry.create("backbone", "mine", in_chans=1, num_classes=4, image_size=16)
    card = replace(oz.Run.load(tiny_run).model().card, backbone=Backbone("acme:mine", {}))
    with pytest.raises(UsageError, match=why):
        oz.prune(Model(module, card), macs=0.5, registry=registry)


def test_a_timm_backbone_is_tried_and_said_to_be(prune: Prune, tiny_run: Path) -> None:
    """timm backbones do not declare whether they are prunable; the receipt has a note."""
    options: dict[str, object] = {}
    shape = {"in_chans": 1, "num_classes": 4, "image_size": 16}
    module = REGISTRY.create("backbone", "timm/resnet10t", **shape, **options)
    card = oz.Run.load(tiny_run).model().card
    card = replace(card, backbone=Backbone("oraclezoo:timm/resnet10t", options))
    model = prune(source=Model(module, card), epochs=0, round_to=8)
    assert "does not declare that it is prunable" in model.card.receipts[-1].notes[0]


def test_a_plan_that_does_not_fit_is_one_error(prune: Prune, tmp_path: Path) -> None:
    """A truncated, mismatched or missing plan raises an error that names the folder."""
    prune(tmp_path / "out", epochs=0)
    path = tmp_path / "out" / CARD
    card = json.loads(path.read_text())
    plan = card["plan"]
    for broken in (
        {**plan, "cuts": plan["cuts"][:1]},
        {**plan, "cuts": [{**plan["cuts"][0], "of": 10**9}, *plan["cuts"][1:]]},
        {"schema": plan["schema"]},
        {},
    ):
        path.write_text(json.dumps({**card, "plan": broken}))
        with pytest.raises(ResultError, match=r"out: (the|invalid) pruning plan"):
            oz.load(tmp_path / "out")
    path.write_text(json.dumps({key: card[key] for key in card if key != "plan"}))
    with pytest.raises(ResultError, match="the weights do not match"):
        oz.load(tmp_path / "out")
    path.write_text(json.dumps(card)[:-100])
    with pytest.raises(ResultError, match="corrupt or truncated"):
        oz.load(tmp_path / "out")


@pytest.mark.parametrize("runtime", [pytest.param("onnxruntime", marks=pytest.mark.slow), "eager"])
def test_latency_is_a_share_of_the_time_before(tiny_run: Path, runtime: str) -> None:
    """The latency ratio of a model to itself is positive and about one."""
    model = oz.Run.load(tiny_run).model()
    share = cost(model, "latency", runtime, (16, 1))(model.module)
    assert 0 < share < math.inf


def test_interrupting_leaves_what_resume_needs(prune: Prune, tmp_path: Path) -> None:
    """A copy of the interrupted folder resumes to the same model."""
    out, copied = tmp_path / "out", tmp_path / "copied"
    with pytest.raises(InterruptedRunError):
        prune(out, should_stop=lambda: True)
    shutil.copytree(out, copied)
    assert same(prune(out, resume=True), prune(copied, resume=True))
