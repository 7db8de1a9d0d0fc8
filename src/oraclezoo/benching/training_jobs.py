"""Jobs of an uncompressed row: train the recipe with each seed and score the runs."""

from __future__ import annotations

from dataclasses import dataclass

from oraclezoo.artifacts.provenance import provenance
from oraclezoo.artifacts.record import Provenance
from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.benching.requests import Scoring, Training
from oraclezoo.benching.shared import Shared
from oraclezoo.contracts import Dataset
from oraclezoo.recipe import Recipe


@dataclass(frozen=True)
class TrainingJobs:
    """Jobs that train the recipe with each seed and score it."""

    shared: Shared
    recipe: Recipe
    dataset: Dataset

    @property
    def epochs(self) -> int:
        """Number of epochs per job."""
        return self.recipe.budget.epochs

    def run(self, seed: int) -> Run:
        """Return the run of a seed."""
        return Run(self.shared.runs / folder_name(self.recipe, seed))

    def provenance(self, seed: int) -> Provenance:
        """Return the provenance of a new run."""
        shared = self.shared
        return provenance(self.recipe, shared.registry, self.dataset, shared.execution_here, seed)

    def request(self, seed: int, *, resume: bool, processes: int | None = None) -> Training:
        """Return the request for a job; times are reported unless ``processes`` is set."""
        shared = self.shared
        scoring = Scoring(shared.results, shared.robust, timed=processes is None)
        return Training(
            self.recipe, seed, shared.runs, resume, shared.execution, scoring, processes
        )
