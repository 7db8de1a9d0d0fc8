"""Rows of compressed variants: compress the training runs of a recipe and score the variants.

All variants of a recipe use the runs of the recipe without ``[compress]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oraclezoo.artifacts.record import Provenance, RunRecord
from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.benching.compressed import VariantRequest, VariantRun, variant_provenance
from oraclezoo.benching.recipe import RecipeBench
from oraclezoo.benching.requests import Compression, Scoring
from oraclezoo.jobs import Failed
from oraclezoo.recipe import Recipe


@dataclass(frozen=True)
class CompressionJobs:
    """Jobs that compress the run of each seed of the row ``source`` and score the variant."""

    source: RecipeBench
    recipe: Recipe

    @property
    def epochs(self) -> int:
        """Number of fine-tuning epochs per job."""
        return max(1, self.recipe.compress.epochs)

    def run(self, seed: int) -> Run:
        """Return the variant of a seed."""
        return VariantRun(self.source.shared.runs / folder_name(self.recipe, seed))

    def provenance(self, seed: int) -> Provenance:
        """Return the provenance of a new variant."""
        source = self.source
        return variant_provenance(
            source.runs[seed],
            VariantRequest(self.recipe, seed, source.shared.runs, source.shared.execution_here),
            source.shared.registry,
            source.dataset,
        )

    def request(self, seed: int, *, resume: bool, processes: int | None = None) -> Compression:
        """Return the request for a job; ``processes`` is ignored, since jobs run one by one."""
        shared = self.source.shared
        scoring = Scoring(shared.results, shared.robust, self.source.mode.timed)
        run = self.source.runs[seed].folder
        return Compression(run, self.recipe, seed, shared.runs, resume, shared.execution, scoring)


class AfterTraining:
    """Strategy that runs the jobs of a variant one by one, after those of its source row.

    Args:
        source: Row of the uncompressed recipe.
    """

    def __init__(self, source: RecipeBench) -> None:
        self.source, self.timed = source, source.mode.timed

    def is_reusable(self, record: RunRecord, current: Provenance) -> bool:
        """Accept the runs that the source row accepts."""
        return self.source.mode.is_reusable(record, current)

    def run(self, row: RecipeBench, seeds: Sequence[int]) -> None:
        """Train the source row, then compress its runs; seeds without a run fail."""
        self.source.train(seeds)
        failures = {failure.seed: failure for failure in reversed(self.source.failures)}
        for seed in seeds:
            if seed in self.source.runs:
                row.run_seed(seed)
            else:
                failure = failures[seed]
                message = f"there is no model to compress: {failure.message}"
                row.fail(Failed(failure.reason, message), seed)
