"""Command of a job: an ``oraclezoo bench`` or ``oraclezoo train`` command as a list of words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oraclezoo.cloud.portable import as_overrides, is_file
from oraclezoo.errors import UsageError
from oraclezoo.recipe import parse_assignments
from oraclezoo.recipe.suite import gather, load_recipe

if TYPE_CHECKING:
    from oraclezoo.plugins.registry import Registry
    from oraclezoo.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Selection:
    """Selection of the recipes to train.

    Attributes:
        recipes: Names or files of recipes.
        suites: Names of suites.
        assigned: Overrides, as ``key=value``.
        track: Track that replaces the recipes' tracks, or None.
        train: Whether to train one recipe with one seed instead of benchmarking.
    """

    recipes: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    assigned: tuple[str, ...] = ()
    track: str | None = None
    train: bool = False

    def __post_init__(self) -> None:
        if self.train and (self.suites or len(self.recipes) != 1):
            raise UsageError("--train takes exactly one recipe")
        if not self.recipes and not self.suites:
            raise UsageError("name a recipe, or a suite with --suite; see 'oraclezoo recipe list'")
        if any(is_file(suite) for suite in self.suites):
            raise UsageError(
                "a suite's file is not in the image; render its recipes one by one, as FILE/NAME"
            )

    def load(self) -> list[Recipe]:
        """Load the recipes with their overrides, without duplicates. Raises UsageError."""
        changes = parse_assignments(self.assigned)
        if self.track is not None:
            if changes.get("data.track", self.track) != self.track:
                raise UsageError("data.track is given twice, by -s and by --track; remove one")
            changes["data.track"] = self.track
        return gather(self.recipes, self.suites, changes)

    def portable(self, registry: Registry) -> Selection:
        """Return an equivalent selection that refers to no files on this machine.

        Raises:
            UsageError: There are several recipes, or the recipe differs from all bundled ones by
                more than overrides can express.
        """
        assigned = tuple(self._by_digest(text) for text in self.assigned)
        if not any(map(is_file, self.recipes)):
            return replace(self, assigned=assigned)
        if len(self.recipes) > 1 or self.suites:
            raise UsageError("a recipe's file is not in the image; render a job for it alone")
        base, texts = as_overrides(load_recipe(self.recipes[0]), registry)
        own = {_key(text) for text in assigned}
        kept = tuple(text for text in texts if _key(text) not in own)
        return replace(self, recipes=(base,), assigned=(*kept, *assigned))

    def _by_digest(self, text: str) -> str:
        """Return an override, with the path of a lock file replaced by the file's digest."""
        return f"data.lock={self.load()[0].data.lock}" if _key(text) == "data.lock" else text


def _key(text: str) -> str:
    return text.partition("=")[0].strip()


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders in the container; ``data`` is None if the job has no data folder."""

    output: str
    runs: str
    data: str | None = None


def words(
    selection: Selection, folders: Folders, tail: tuple[str, ...], device: str | None
) -> tuple[str, ...]:
    """Return the command as a list of words.

    Args:
        selection: A portable selection.
        folders: Folders in the container.
        tail: Further options of the command.
        device: Value of ``--device``; None to let the command choose.

    Returns:
        The words, unquoted.
    """
    return tuple(_words(selection, folders, tail, device))


def _words(
    selection: Selection, folders: Folders, tail: tuple[str, ...], device: str | None
) -> Iterator[str]:
    yield from ("oraclezoo", "train" if selection.train else "bench", *selection.recipes)
    for suite in selection.suites:
        yield from ("--suite", suite)
    for text in selection.assigned:
        yield from ("-s", text)
    if selection.track is not None:
        yield from ("--track", selection.track)
    if folders.data is not None:
        yield from ("--data-dir", folders.data)
    if device is not None:
        yield from ("--device", device)
    if selection.train:
        yield from ("--out", folders.runs, "--resume")
    else:
        yield from ("--out", f"{folders.output}/results", "--runs", folders.runs)
    yield from tail
