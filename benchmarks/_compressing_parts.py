"""Parts of compression.py: resnet18 pruned, the house net as int8, and the house net's chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
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
from _measured import Figures
from torch import nn

from oraclezoo.artifacts.build import build_backbone
from oraclezoo.artifacts.model import Model, assemble
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
    """Nets and epochs. Seconds are of one thread of the machine that the figures are from.

    resnet18 took 22 s an epoch beside other work: 14 epochs, then 5 more of it, of its half and of
    its quarter, and 19 of a net of half and one of a quarter from scratch are 67 a seed. By the
    house net's settings, whose 14 epochs leave 92% of the validation images right (one seed;
    `plain` left its test accuracy at 86% after 18). The house net
    takes 1.1 s (50 epochs, and 30 more in trials of the chain: 1.5), mobilenetv3_small_100 3.7 s
    (20 epochs, and 3 that leave it under-trained: 1.4), the course project's net 4 s (10: 0.7).
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
"""Smaller nets, an epoch each: nothing is learned, and every step is taken."""


def residual(bench: Bench, effort: Effort) -> Figures:
    """A residual net, pruned to a half and a quarter, beside narrower ones from scratch.

    Every one gets the same extra epochs by the same recipe: the baseline is pruned by nothing.
    Layers are cut by the same share, so that a pruned net is a narrower one; that from scratch has
    its widths and starts anew (Liu et al. 2019, arXiv:1810.05270).
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
                    run,  # noqa: B023  # called before the next run
                    place,
                    macs=left,
                    epochs=extra,
                    seed=seed,
                    device="cpu",
                    timed=False,
                    resume=True,
                    **bench.given,
                )

            asked = [recipe.hash, seed, left, extra, Tuning.lr_scale]
            made = bench.made(f"{name}-{key}-s{seed}", asked, pruned)
            models[key].append(made)
            if key in SHARES:

                def fresh(place: Path, made: Model = made, seed: int = seed) -> Model:
                    return from_scratch(bench, made, total, seed, place)

                asked = [total.hash, seed, made.card["plan"]]
                models[_thin(key)].append(bench.made(f"{name}-{_thin(key)}-s{seed}", asked, fresh))
    sides = {key: [bench.side(model) for model in each] for key, each in models.items()}
    correct = {key: right(each) for key, each in sides.items()}
    first = {key: models[key][0] for key in ("baseline", *SHARES)}
    taken = times(first, [ONE], bench.rounds)
    base = correct["baseline"]
    half, quarter = (f"{name}, {words} of the MACs" for words in ("half", "a quarter"))
    rows = [
        accuracy_row(f"{name}, the baseline with the same extra epochs: accuracy", base, 90.0),
        *loss_rows(half, base, correct["half"], 0.5, 1.5),
        speed_row(
            f"{half}: faster in ORT float, batch 1, one thread",
            taken["baseline"][0],
            taken["half"][0],
            1.6,
            ONE,
        ),
        *loss_rows(quarter, base, correct["quarter"], 1.5),
    ]
    for words, key in ((half, "half"), (quarter, "quarter")):
        claim = f"{words}: more accurate than as narrow a net from scratch"
        rows.append(gain_row(claim, correct[key], correct[_thin(key)]))
    return {
        "rows": rows,
        "details": {
            "backbone": name,
            "epochs": effort.epochs,
            "extra_epochs": extra,
            "scratch_epochs": effort.epochs + extra,
            "recipe": recipe.to_dict(),
            "models": [_facts(key, each, taken.get(key)) for key, each in sides.items()],
        },
    }


def _thin(key: str) -> str:
    return f"{key} from scratch"


def _facts(key: str, sides: Iterable[Side], taken: list[list[float]] | None) -> Figures:
    facts = [each.facts for each in sides]
    return {
        "model": key,
        "accuracy": share([each["accuracy"] for each in facts]),
        "macs": share([each["macs"] for each in facts]),
        "parameters": share([each["parameters"] for each in facts]),
        "batch_1_ms": None if taken is None else round(min(taken[0]), 4),
    }


def from_scratch(bench: Bench, pruned: Model, recipe: Recipe, seed: int, place: Path) -> Model:
    """A net of a pruned one's widths, its weights drawn anew, trained by a recipe as any other."""
    card = {key: value for key, value in pruned.card.items() if key != "receipts"}
    backbone, shape = card["backbone"], card["input"]
    net = build_backbone(bench.registry, backbone["name"], backbone["options"], shape, seed)
    redraw(Plan.from_json(card["plan"]).apply(net), seed)
    state, took = finetune(
        net,
        recipe,
        images_for(pruned, recipe, bench.dataset, torch.device("cpu")),
        bench.registry,
        seed=seed,
        checkpoint=Checkpoint(place / "training", resume=True),
    )
    done = assemble({**card, "receipts": [], "trained": took}, state, bench.registry, str(place))
    done.save(place)
    return done


def redraw(net: nn.Module, seed: int) -> None:
    """Draw the weights of convolutions and classifier again: those of a cut net fit its old width.

    He's normal by fan-out (arXiv:1502.01852), as timm and torchvision start residual nets.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                layer.reset_parameters()


def int8(bench: Bench, effort: Effort) -> Figures:
    """The house net as int8 against its own float file."""
    floats, rounded = house(bench, effort)
    before, after = ([bench.side(model) for model in each] for each in (floats, rounded))
    taken = times({"float": floats[0], "int8": rounded[0]}, [ONE, LARGE], bench.rounds)
    rows = [*loss_rows("the house net as int8", right(before), right(after), 0.3, 1.0)]
    for place, (setting, words, bound) in enumerate(
        ((ONE, "batch 1, one thread", 1.5), (LARGE, "batch 256, two threads", 1.3))
    ):
        claim = f"the house net as int8: faster than ORT float, {words}"
        pair = taken["float"][place], taken["int8"][place]
        rows.append(speed_row(claim, *pair, bound, setting))
    made = [model.card["receipts"][-1] for model in rounded]
    return {
        "rows": rows,
        "details": {
            "accuracy": share([each.facts["accuracy"] for each in before]),
            "agreement": share([_agreement(*pair) for pair in zip(before, after, strict=True)]),
            "divergence": share([each["options"]["divergence"] for each in made]),
            "kept_float": [each["options"]["kept_float"] for each in made],
            "size_bytes": [_bytes(floats), _bytes(rounded)],
        },
    }


def house(bench: Bench, effort: Effort) -> tuple[list[Model], list[Model]]:
    """The house net of each seed as float and as int8 ONNX file.

    By the shipped recipe, but for the refit: choices go by validation images that were not learned.
    """
    floats, rounded = [], []
    for seed in bench.seeds:
        recipe = house_recipe(bench, effort)
        pair = as_onnx(bench, f"house-s{seed}", [recipe.hash, seed], bench.train(recipe, seed))
        floats.append(pair[0])
        rounded.append(pair[1])
    return floats, rounded


def house_recipe(bench: Bench, effort: Effort) -> Recipe:
    """The recipe of the house net."""
    changes = {"data.refit": False, **effort.house, "budget.epochs": effort.house_epochs}
    return bench.recipe("default", changes)


def as_onnx(
    bench: Bench, name: str, asked: list[Any], source: Any, **options: Any
) -> tuple[Model, Model]:
    """A run as a float and as an int8 ONNX file, each made once."""
    common: dict[str, Any] = {"timed": False, **bench.given}
    whole = bench.made(f"{name}-float", asked, lambda place: export(source, place, **common))
    kind = "-".join(["int8", *map(str, options.values())])
    small = bench.made(
        f"{name}-{kind}",
        [asked, options],
        lambda place: quantize(whole, place, **options, **common),
    )
    return whole, small


def chain(bench: Bench, effort: Effort) -> Figures:
    """Prune, fine-tune, export and quantize the house net, as ``oraclezoo compress`` chooses."""
    small = []
    floats, _ = house(bench, effort)
    recipe, asked = house_recipe(bench, effort), dict(effort.goals)
    for seed in bench.seeds:
        run = bench.train(recipe, seed)

        def compressed(place: Path, run: Any = run, seed: int = seed) -> Model:
            return compress(
                run,
                place,
                **asked,
                trials=effort.trials,
                epochs=effort.chain_epochs,
                rounds=min(bench.rounds, ROUNDS),
                seed=seed,
                device="cpu",
                resume=True,
                **bench.given,
            )

        key = [recipe.hash, seed, asked, effort.trials, effort.chain_epochs, Tuning.lr_scale]
        small.append(bench.made(f"house-chain-s{seed}", key, compressed))
    before, after = ([bench.side(model) for model in each] for each in (floats, small))
    taken = times({"float": floats[0], "chain": small[0]}, [ONE, LARGE], bench.rounds)
    smaller = np.divide(_bytes(floats), _bytes(small)).tolist()
    ends = (min(smaller), max(smaller))
    chosen = [model.card["receipts"][-1]["options"] for model in small]
    what = "the house net through the chain"
    size = row(f"{what}: smaller on disk", float(np.mean(smaller)), 4.0, "times", at_least=True)
    return {
        "rows": [
            {**size, "interval": [round(end, 4) for end in ends]},
            speed_row(
                f"{what}: faster than its own ORT float, batch 1, one thread",
                taken["float"][0],
                taken["chain"][0],
                2.0,
                ONE,
            ),
            *loss_rows(what, right(before), right(after), 0.5),
        ],
        "details": {
            "asked": asked,
            "large_batch": {
                "batch_size": LARGE[0],
                "threads": LARGE[1],
                "speedup": round(min(taken["float"][1]) / min(taken["chain"][1]), 4),
            },
            "accuracy": share([each.facts["accuracy"] for each in before]),
            "chosen": [{key: each[key] for key in ("macs", "precision")} for each in chosen],
            "size_bytes": [
                [len(each.onnx or b"") for each in models] for models in (floats, small)
            ],
        },
    }


def _bytes(models: Iterable[Model]) -> list[int]:
    """Of each ONNX file."""
    return [len(model.onnx or b"") for model in models]


def _agreement(before: Side, after: Side) -> float:
    return float((before.probabilities.argmax(1) == after.probabilities.argmax(1)).mean())


Part = Callable[[Bench, Effort], Figures]
PARTS: Mapping[str, Part] = {"resnet18": residual, "int8": int8, "chain": chain}
