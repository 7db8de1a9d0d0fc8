"""Provenance of a run: the inputs that identify it and must match for it to be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from oraclezoo._version import __version__
from oraclezoo.artifacts.plugins import changes, plugin_code
from oraclezoo.artifacts.record import Provenance, RunRecord
from oraclezoo.artifacts.run import OVERWRITE, Run
from oraclezoo.artifacts.sources import code_sha256
from oraclezoo.card import RecipeId, Source
from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import digests
from oraclezoo.engine.execution import Execution
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.measure import hardware
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.sections import COMPONENTS
from oraclezoo.specs import Kind


def components(recipe: Recipe, registry: Registry) -> dict[str, Source]:
    """Return the distribution and version of each component of a recipe.

    Args:
        recipe: A resolved recipe.
        registry: Registry of components.

    Returns:
        The sources, keyed by kind of component.
    """
    names: dict[Kind, str] = {kind: getattr(recipe, kind).name for kind in COMPONENTS}
    names["dataset"] = recipe.data.track
    entries = {kind: registry.get(kind, name) for kind, name in names.items()}
    return {
        kind: Source(names[kind], entry.distribution, entry.version)
        for kind, entry in entries.items()
    }


def provenance(
    recipe: Recipe, registry: Registry, dataset: Dataset, execution: Execution, seed: int
) -> Provenance:
    """Return the provenance of a run: the inputs that identify it.

    Args:
        recipe: A resolved recipe.
        registry: Registry of components.
        dataset: The data set; its training and validation images are read to compute digests.
        execution: Device and execution settings.
        seed: Seed of the run.
    """
    return Provenance(
        recipe=RecipeId(recipe.name, recipe.hash),
        seed=seed,
        oraclezoo=__version__,
        code_sha256=code_sha256(),
        components=components(recipe, registry),
        plugins=plugin_code(recipe, registry),
        data_sha256=digests(dataset, "train", "validation"),
        compile=execution.compile,
        deterministic=execution.deterministic,
        hardware=hardware.describe(execution.torch_device()),
        libraries=hardware.libraries(),
    )


def check_resumable(run: Run, current: Provenance) -> None:
    """Raise UsageError unless a run started with the same data, components and plugins.

    The version of oraclezoo may differ: checkpoints are compatible across versions.
    """
    try:
        earlier = run.record.provenance
    except ResultError as error:
        raise ResultError(f"{error}; {OVERWRITE}") from error
    for item, before, now in (
        ("data", earlier.data_sha256, current.data_sha256),
        ("components", _comparable(earlier.components), _comparable(current.components)),
    ):
        if before != now:
            raise UsageError(f"{run.folder} was started with different {item}; {OVERWRITE}")
    # version 0.1 did not record it
    changed = changes(earlier.plugins, current.plugins) if earlier.plugins else []
    if changed:
        raise UsageError(
            f"{run.folder} was started with different code: {'; '.join(changed)}; {OVERWRITE}"
        )


def _comparable(sources: Mapping[str, Source]) -> dict[str, Source]:
    """Return the components, without versions for built-in ones."""
    return {
        kind: replace(source, version="") if source.distribution == "oraclezoo" else source
        for kind, source in sources.items()
    }


def earlier_parts(record: RunRecord, current: Provenance) -> tuple[Provenance, ...]:
    """Return the provenance of each earlier part of a resumed run, unless it equals ``current``."""
    return record.parts if record.provenance == current else (*record.parts, record.provenance)
