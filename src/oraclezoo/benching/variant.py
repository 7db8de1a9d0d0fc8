"""Bench of variants: a recipe's trained runs, compressed and scored each in a process of its own.

The trainings are those of the recipe without ``[compress]``, made once for all its variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.benching.compressed import Made, identity
from oraclezoo.benching.recipe import RecipeBench
from oraclezoo.recipe import Recipe


class VariantBench(RecipeBench):
    """All jobs of one variant of a net, from job ``offset`` of the benchmark on."""

    def __init__(self, net: RecipeBench, recipe: Recipe, offset: int) -> None:
        super().__init__(net.shared, recipe, net.dataset, offset, net.total)
        self.net, self.timed = net, net.timed

    @property
    def epochs(self) -> int:
        """Of one job, those of fine-tuning."""
        return max(1, self.recipe.compress.epochs)

    def _train_all(self, seeds: Sequence[int]) -> None:
        self.net.train(seeds)
        why = {failure["seed"]: failure for failure in reversed(self.net.failures)}
        for seed in seeds:
            if seed in self.net.runs:
                self._seed(seed)
            else:
                told = f"there is no net to compress: {why[seed]['message']}"
                self._fail({**why[seed], "event": "failed", "message": told}, seed, seed)

    def _run(self, seed: int) -> Run:
        return Made(self.shared.runs / folder_name(self.recipe, seed))

    def _identity(self, seed: int) -> dict[str, Any]:
        shared = self.shared
        return identity(
            self.net.runs[seed],
            self.recipe,
            shared.registry,
            self.dataset,
            shared.device,
            seed,
            compile=shared.compile,
            deterministic=shared.deterministic,
        )

    def _serves(self, record: dict[str, Any], here: dict[str, Any]) -> bool:
        return self.net._serves(record, here)

    def _request(self, seed: int, *, resume: bool) -> dict[str, Any]:
        whole = super()._request(seed, resume=resume)
        del whole["trackers"]
        run = str(self.net.runs[seed].folder)
        return {
            **whole,
            "action": "oraclezoo.benching.actions:make_variant_and_score",
            "run": run,
            "timed": self.timed,
        }
