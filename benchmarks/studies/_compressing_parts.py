"""Parts of compression.py: resnet18 pruned, OracleNet as int8, OracleNet through the chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _compressing import (
    Bench,
    Setting,
    accuracy_row,
    gain_row,
    loss_rows,
    right,
    row,
    share,
    speed_row,
    times,
)
from _shared import Figures
from torch import nn

from oraclezoo.artifacts.build import build_backbone
from oraclezoo.artifacts.load import assemble
from oraclezoo.artifacts.model import Model
from oraclezoo.codec import encode
from oraclezoo.compression.channels.plan import Plan
from oraclezoo.engine.records import Checkpoint
from oraclezoo.pruning.prune import prune
from oraclezoo.quantization.export import export
from oraclezoo.quantization.onnx import quantize
from oraclezoo.receipts.receipt import Side
from oraclezoo.receipts.timing import ROUNDS
from oraclezoo.recipe import Recipe
from oraclezoo.search.compress import compress
from oraclezoo.training.finetune import Tuning, finetune, images_for

ONE: Setting = (1, 1)
LARGE: Setting = (256, 2)
SHARES = {"half": 0.5, "quarter": 0.25}


@dataclasses.dataclass(frozen=True)
class Effort:
    """Networks and numbers of epochs.

    Times refer to one thread of the machine that produced the committed figures. resnet18 takes
    22 s per epoch under load, and 67 epochs per seed: 14 for the baseline, 5 more each for the
    baseline, its half and its quarter, and 19 each for two networks from scratch. It uses
    OracleNet's settings, which reach a validation accuracy of 92% in 14 epochs (one seed; `plain`
    reaches a test accuracy of 86% in 18). OracleNet takes 1.1 s per epoch (50 epochs, and 30 in
    trials of the chain), mobilenetv3_small_100 3.7 s (20 epochs, and 3 for an under-trained one),
    and the course project's network 4 s (10 epochs).
    """

    residual: str = "resnet18"
    epochs: int = 14
    extra: int = 5
    house: Mapping[str, object] = dataclasses.field(default_factory=dict)
    house_epochs: int = 50
    goals: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"latency": 0.5, "size": 0.25}
    )
    trials: int = 4
    chain_epochs: int = 10
    mobile: str = "mobilenetv3_small_100"
    mobile_epochs: int = 20
    brief_epochs: int = 3
    course: Mapping[str, object] = dataclasses.field(default_factory=dict)
    course_epochs: int = 10


QUICK = Effort(
    residual="resnet8",
    epochs=1,
    extra=1,
    house={"backbone.name": "oraclenet_n", "evaluate.shifts": 0},
    house_epochs=1,
    goals={"size": 0.5},
    trials=1,
    chain_epochs=1,
    mobile="lenet5",
    mobile_epochs=1,
    brief_epochs=1,
    course={"backbone.name": "lenet5"},
    course_epochs=1,
)
"""Small networks and one epoch each, to exercise every step."""


def residual(bench: Bench, effort: Effort) -> Figures:
    """Compare a residual network pruned to a half and a quarter with narrower ones from scratch.

    All variants, including the unpruned baseline, train for the same extra epochs with the same
    recipe. All layers lose the same share of channels. The networks from scratch have the widths
    of the pruned ones and new initial weights (Liu et al. 2019, arXiv:1810.05270).
    """
    name, extra = effort.residual, effort.extra
    settings = {"backbone.name": name, "data.refit": False, "evaluate.shifts": 0}
    recipe = bench.recipe("default", {**settings, "budget.epochs": effort.epochs})
    total = bench.recipe("default", {**settings, "budget.epochs": effort.epochs + extra})
    models = {key: list[Model]() for key in ("baseline", *SHARES, *map(_thin, SHARES))}
    for seed in bench.seeds:
        run = bench.train(recipe, seed)
        for key, left in {"baseline": 1.0, **SHARES}.items():

            def pruned(place: Path, left: float = left, seed: int = seed) -> Model:
                return prune(
                    run,  # noqa: B023  # called within this iteration
                    place,
                    macs=left,
                    epochs=extra,
                    seed=seed,
                    device="cpu",
                    timed=False,
                    resume=True,
                    **bench.given,
                )

            inputs = [recipe.hash, seed, left, extra, Tuning.lr_scale]
            pruned_model = bench.made(f"{name}-{key}-s{seed}", inputs, pruned)
            models[key].append(pruned_model)
            if key in SHARES:

                def fresh(
                    place: Path, pruned_model: Model = pruned_model, seed: int = seed
                ) -> Model:
                    return from_scratch(bench, pruned_model, total, seed, place)

                inputs = [total.hash, seed, pruned_model.card.plan]
                models[_thin(key)].append(bench.made(f"{name}-{_thin(key)}-s{seed}", inputs, fresh))
    sides = {key: [bench.side(model) for model in each] for key, each in models.items()}
    correct = {key: right(each) for key, each in sides.items()}
    first = {key: models[key][0] for key in ("baseline", *SHARES)}
    timings = times(first, [ONE], bench.rounds)
    base = correct["baseline"]
    half, quarter = (f"{name}, {words} of the MACs" for words in ("half", "a quarter"))
    rows = [
        accuracy_row(f"{name}, baseline with the same total epochs: accuracy", base, 90.0),
        *loss_rows(half, base, correct["half"], 0.5, 1.5),
        speed_row(
            f"{half}: speedup in ONNX Runtime float, batch size 1, one thread",
            timings["baseline"][0],
            timings["half"][0],
            1.6,
            ONE,
        ),
        *loss_rows(quarter, base, correct["quarter"], 1.5),
    ]
    for words, key in ((half, "half"), (quarter, "quarter")):
        claim = f"{words}: accuracy gain over an equally narrow network from scratch"
        rows.append(gain_row(claim, correct[key], correct[_thin(key)]))
    return {
        "rows": rows,
        "details": {
            "backbone": name,
            "epochs": effort.epochs,
            "extra_epochs": extra,
            "scratch_epochs": effort.epochs + extra,
            "recipe": recipe.to_dict(),
            "models": [_facts(key, each, timings.get(key)) for key, each in sides.items()],
        },
    }


def _thin(key: str) -> str:
    return f"{key} from scratch"


def _facts(key: str, sides: Iterable[Side], latencies: list[list[float]] | None) -> Figures:
    facts = [each.metrics for each in sides]
    return {
        "model": key,
        "accuracy": share([each.accuracy for each in facts]),
        "macs": share([each.macs for each in facts]),
        "parameters": share([each.parameters for each in facts]),
        "batch_1_ms": None if latencies is None else round(min(latencies[0]), 4),
    }


def from_scratch(bench: Bench, pruned: Model, recipe: Recipe, seed: int, place: Path) -> Model:
    """Train a network with the widths of a pruned one from new initial weights."""
    backbone, shape = pruned.card.backbone, asdict(pruned.card.input)
    net = build_backbone(bench.registry, backbone.name, dict(backbone.options), shape, seed)
    redraw(Plan.from_json(pruned.card.plan).apply(net), seed)
    state, took = finetune(
        net,
        recipe,
        images_for(pruned, recipe, bench.dataset, torch.device("cpu")),
        bench.registry,
        seed=seed,
        checkpoint=Checkpoint(place / "training", resume=True),
    )
    card = replace(pruned.card, receipts=(), extra={"trained": encode(took)})
    done = assemble(card, state, bench.registry, str(place))
    done.save(place)
    return done


def redraw(net: nn.Module, seed: int) -> None:
    """Reinitialize convolutions and classifier for the pruned widths.

    He initialization by fan-out (arXiv:1502.01852), as timm and torchvision use for ResNets.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                layer.reset_parameters()


def int8(bench: Bench, effort: Effort) -> Figures:
    """Compare OracleNet as int8 with its float ONNX file."""
    floats, rounded = house(bench, effort)
    before, after = ([bench.side(model) for model in each] for each in (floats, rounded))
    latencies = times({"float": floats[0], "int8": rounded[0]}, [ONE, LARGE], bench.rounds)
    rows = [*loss_rows("OracleNet, int8", right(before), right(after), 0.3, 1.0)]
    for index, (setting, words, bound) in enumerate(
        ((ONE, "batch size 1, one thread", 1.5), (LARGE, "batch size 256, two threads", 1.3))
    ):
        claim = f"OracleNet, int8: speedup over ONNX Runtime float, {words}"
        pair = latencies["float"][index], latencies["int8"][index]
        rows.append(speed_row(claim, *pair, bound, setting))
    receipts = [model.card.receipts[-1].to_json() for model in rounded]
    return {
        "rows": rows,
        "details": {
            "accuracy": share([each.metrics.accuracy for each in before]),
            "agreement": share([_agreement(*pair) for pair in zip(before, after, strict=True)]),
            "divergence": share([each["options"]["divergence"] for each in receipts]),
            "kept_float": [each["options"]["kept_float"] for each in receipts],
            "size_bytes": [_bytes(floats), _bytes(rounded)],
        },
    }


def house(bench: Bench, effort: Effort) -> tuple[list[Model], list[Model]]:
    """Return OracleNet of each seed as float and as int8 ONNX file.

    Uses the shipped recipe without the refit, because choices need held-out validation images.
    """
    floats, rounded = [], []
    for seed in bench.seeds:
        recipe = house_recipe(bench, effort)
        pair = as_onnx(bench, f"house-s{seed}", [recipe.hash, seed], bench.train(recipe, seed))
        floats.append(pair[0])
        rounded.append(pair[1])
    return floats, rounded


def house_recipe(bench: Bench, effort: Effort) -> Recipe:
    """Return the recipe of OracleNet."""
    changes = {"data.refit": False, **effort.house, "budget.epochs": effort.house_epochs}
    return bench.recipe("default", changes)


def as_onnx(
    bench: Bench, name: str, settings: list[Any], source: Any, **options: Any
) -> tuple[Model, Model]:
    """Return a run as a float and as an int8 ONNX file, both cached."""
    common: dict[str, Any] = {"timed": False, **bench.given}
    float_model = bench.made(
        f"{name}-float", settings, lambda place: export(source, place, **common)
    )
    kind = "-".join(["int8", *map(str, options.values())])
    small = bench.made(
        f"{name}-{kind}",
        [settings, options],
        lambda place: quantize(float_model, place, **options, **common),
    )
    return float_model, small


def chain(bench: Bench, effort: Effort) -> Figures:
    """Prune, fine-tune, export and quantize OracleNet with ``oraclezoo compress``."""
    small = []
    floats, _ = house(bench, effort)
    recipe, goals = house_recipe(bench, effort), dict(effort.goals)
    for seed in bench.seeds:
        run = bench.train(recipe, seed)

        def compressed(place: Path, run: Any = run, seed: int = seed) -> Model:
            return compress(
                run,
                place,
                **goals,
                trials=effort.trials,
                epochs=effort.chain_epochs,
                rounds=min(bench.rounds, ROUNDS),
                seed=seed,
                device="cpu",
                resume=True,
                **bench.given,
            )

        key = [recipe.hash, seed, goals, effort.trials, effort.chain_epochs, Tuning.lr_scale]
        small.append(bench.made(f"house-chain-s{seed}", key, compressed))
    before, after = ([bench.side(model) for model in each] for each in (floats, small))
    latencies = times({"float": floats[0], "chain": small[0]}, [ONE, LARGE], bench.rounds)
    smaller = np.divide(_bytes(floats), _bytes(small)).tolist()
    bounds = (min(smaller), max(smaller))
    choices = [model.card.receipts[-1].options for model in small]
    what = "OracleNet, compressed"
    size = row(f"{what}: size reduction", float(np.mean(smaller)), 4.0, "times", at_least=True)
    return {
        "rows": [
            {**size, "interval": [round(end, 4) for end in bounds]},
            speed_row(
                f"{what}: speedup over its float ONNX file, batch size 1, one thread",
                latencies["float"][0],
                latencies["chain"][0],
                2.0,
                ONE,
            ),
            *loss_rows(what, right(before), right(after), 0.5),
        ],
        "details": {
            "asked": goals,
            "large_batch": {
                "batch_size": LARGE[0],
                "threads": LARGE[1],
                "speedup": round(min(latencies["float"][1]) / min(latencies["chain"][1]), 4),
            },
            "accuracy": share([each.metrics.accuracy for each in before]),
            "chosen": [{key: each[key] for key in ("macs", "precision")} for each in choices],
            "size_bytes": [
                [len(each.onnx or b"") for each in models] for models in (floats, small)
            ],
        },
    }


def _bytes(models: Iterable[Model]) -> list[int]:
    """Return the size of each ONNX file in bytes."""
    return [len(model.onnx or b"") for model in models]


def _agreement(before: Side, after: Side) -> float:
    return float((before.probabilities.argmax(1) == after.probabilities.argmax(1)).mean())


Part = Callable[[Bench, Effort], Figures]
PARTS: Mapping[str, Part] = {"resnet18": residual, "int8": int8, "chain": chain}
