"""Steps of a pruning: channels are chosen and taken out, and what is left is fine-tuned."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oraclezoo.artifacts.model import Model, assemble
from oraclezoo.compression.channels.choose import SCOPES
from oraclezoo.compression.channels.coupled import Coupled, coupled
from oraclezoo.compression.channels.importance import METHODS, score
from oraclezoo.compression.channels.plan import Plan
from oraclezoo.compression.channels.strength import Found, find
from oraclezoo.contracts import Dataset
from oraclezoo.engine.augment import standardise
from oraclezoo.engine.records import Callbacks, Checkpoint, Epoch, TrainingData
from oraclezoo.engine.seeds import derive
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.pruning.cost import RUNTIMES, Cost, cost
from oraclezoo.pruning.workspace import Chosen, keep, kept
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.finetune import Tuning, finetune

TAYLOR_IMAGES, TAYLOR_BATCH = 1000, 100
"""Training images that importance taylor looks at, and how many at a time."""


@dataclass(frozen=True)
class Wish:
    """What is to be pruned away, and how it is chosen.

    ``target`` is the share of ``what`` (macs, params or latency) that may be left after the last of
    ``steps``; latency is measured by ``runtime`` at ``setting``, batch size and threads.
    """

    what: str
    target: float
    importance: str = "taylor"
    scope: str | None = None
    round_to: int = 8
    steps: int = 1
    seed: int = 0
    runtime: str = RUNTIMES[0]
    setting: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise UsageError(f"{self.what} is {self.target}; it must be above 0 and at most 1")
        for name, value, known in (
            ("importance", self.importance, METHODS),
            ("scope", self.scope or SCOPES[0], SCOPES),
            ("runtime", self.runtime, RUNTIMES),
        ):
            if value not in known:
                raise UsageError(f"{name} is '{value}'; it must be one of {', '.join(known)}")
        for name, number in (("round_to", self.round_to), ("steps", self.steps)):
            if number < 1:
                raise UsageError(f"{name} is {number}; it must be at least 1")


@dataclass(frozen=True)
class Steps:
    """All that the steps of one pruning need; ``work`` is the folder that keeps their state."""

    before: Model
    wish: Wish
    tuning: Tuning
    dataset: Dataset
    data: TrainingData | None
    recipe: Recipe | None
    registry: Registry
    work: Path
    resume: bool
    on_epoch: Callable[[Epoch], None]
    should_stop: Callable[[], bool]
    say: Callable[[str], None]

    def run(self) -> tuple[Model, dict[str, Any]]:
        """The pruned and fine-tuned model, and what the receipt says of how it came about."""
        wish, now = self.wish, self.before
        costs = cost(self.before, wish.what, wish.runtime, wish.setting)
        told, tuned = dict[str, Any](), list[dict[str, Any]]()
        for number, epochs in enumerate(_parts(self.tuning.epochs, wish.steps), 1):
            folder = self.work / f"step-{number}"
            chosen = kept(folder) if self.resume else None
            if chosen is None:
                chosen = self._choose(now, wish.target ** (number / wish.steps), costs)
                keep(folder, chosen)
            told = chosen.told
            self.say(
                f"step {number} of {wish.steps}: {told['reached']:.3f} of the {wish.what} left"
            )
            card = {key: value for key, value in now.card.items() if key != "calibration"}
            card["plan"] = chosen.plan
            now = assemble(card, chosen.state, self.registry, "the pruned model")
            if epochs:
                state, facts = self._finetune(now.module, epochs, number, folder)
                tuned.append(facts)
                now = assemble(card, state, self.registry, "the pruned model")
        return now, {**self._asked(), **told, "fine_tuned": tuned}

    def _asked(self) -> dict[str, Any]:
        """The options as the receipt has them."""
        asked = {self.wish.what: self.wish.target, **dataclasses.asdict(self.wish)}
        left_out = {"what", "target"} | ({"runtime", "setting"} - {*_timed(self.wish)})
        asked = {key: value for key, value in asked.items() if key not in left_out}
        return {**asked, **dataclasses.asdict(self.tuning)}

    def _choose(self, now: Model, target: float, costs: Cost) -> Chosen:
        given, wish = now.card["input"], self.wish
        image = torch.zeros(1, given["in_chans"], given["image_size"], given["image_size"])
        found = coupled(now.module, image)
        if not found.groups:
            raise UsageError(f"nothing can be pruned: {_reasons(found)}")
        scores = score(wish.importance, now.module, found.groups, self._batches(), wish.seed)
        if all(each is None for each in scores):
            raise UsageError(f"importance {wish.importance} has nothing to go by in this backbone")
        attends = any(hasattr(layer, "num_heads") for layer in now.module.modules())
        scope = wish.scope or ("isomorphic" if attends else "uniform")
        try:
            best: Found = find(
                now.module,
                found.groups,
                scores,
                target=target,
                cost=costs,
                scope=scope,
                round_to=wish.round_to,
            )
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
            text = " ".join(str(error).split())[:120]
            raise UsageError(
                f"this backbone does not work once it is cut ({type(error).__name__}: {text})"
            ) from error
        unscored = [g.name for g, s in zip(found.groups, scores, strict=True) if s is None]
        whole = found.whole | dict.fromkeys(unscored, f"{wish.importance} does not score it")
        told = {"scope": scope, "strength": best.strength, "reached": best.cost, "whole": whole}
        earlier = Plan.from_json(now.card["plan"]) if "plan" in now.card else None
        plan = best.plan if earlier is None else earlier.then(best.plan)
        cut = best.plan.apply(copy.deepcopy(now.module))
        state = {key: value.detach().clone() for key, value in cut.state_dict().items()}
        return Chosen(plan.to_json(), told, state)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Some training images as importance taylor wants them."""
        part, scale = self.dataset.split("train"), self.before.card["preprocessing"]
        generator = np.random.default_rng(derive(self.wish.seed, "importance"))
        rows = generator.permutation(len(part.labels))[:TAYLOR_IMAGES].astype(np.int64)
        for some in np.split(rows, range(TAYLOR_BATCH, len(rows), TAYLOR_BATCH)):
            images = torch.from_numpy(np.ascontiguousarray(part.images[some]))
            labels = torch.from_numpy(np.asarray(part.labels[some]).astype(np.int64))
            yield standardise(images, scale["mean"], scale["std"]), labels

    def _finetune(
        self, module: nn.Module, epochs: int, number: int, folder: Path
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        assert self.recipe is not None
        assert self.data is not None
        return finetune(
            module,
            resolve(self.recipe.override({"budget.epochs": epochs}), self.registry),
            self.data,
            self.registry,
            seed=derive(self.wish.seed, "fine-tuning", number) % 2**31,
            checkpoint=Checkpoint(folder, self.resume),
            teacher=self.before.module if self.tuning.distill else None,
            callbacks=Callbacks(self.on_epoch, self.should_stop, self.say),
        )


def _timed(wish: Wish) -> tuple[str, ...]:
    return ("runtime", "setting") if wish.what == "latency" else ()


def _parts(epochs: int, steps: int) -> list[int]:
    """Epochs of each step; the last one gets what is left over."""
    return [epochs // steps] * (steps - 1) + [epochs - epochs // steps * (steps - 1)]


def _reasons(found: Coupled) -> str:
    return "; ".join(f"{name}: {why}" for name, why in list(found.whole.items())[:3]) or "no layer"
