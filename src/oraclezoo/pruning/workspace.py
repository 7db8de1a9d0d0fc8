"""Work: what is kept of a pruning until it is done, so that it can be gone on with."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from oraclezoo.artifacts.model import CARD
from oraclezoo.artifacts.run import writable
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.result import write_atomically

FOLDER = "pruning"
"""Folder of a pruning's work in the model's, until that is written."""


class Chosen(NamedTuple):
    """The channels of one step: the whole plan as JSON, what is told of it, and the weights."""

    plan: dict[str, Any]
    told: dict[str, Any]
    state: dict[str, Tensor]


@contextmanager
def working(
    place: Path | None, asked: str, *, resume: bool, overwrite: bool, name: str = FOLDER
) -> Iterator[Path]:
    """The folder ``name`` in which a long work keeps its state; it goes when all went well.

    ``place`` is where the model is to be written; without one the folder is a temporary one.
    ``asked`` stands for all that decides the outcome. Raises UsageError if ``place`` holds a model,
    an unfinished work that is neither to be resumed nor overwritten, or one of something else.
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if place is None:
        if resume:
            raise UsageError("there is nothing to resume without a folder")
        with tempfile.TemporaryDirectory(prefix=f"oraclezoo-{name}-") as folder:
            yield Path(folder)
        return
    folder_, begun = place / name, (place / name / "asked").is_file()
    if begun and not (resume or overwrite):
        raise UsageError(
            f"{place} holds an unfinished {name}: --resume goes on, --overwrite starts anew"
        )
    if (place / CARD).is_file() and not overwrite and not (resume and begun):
        raise UsageError(f"{place} holds a model: --overwrite replaces it, or give another folder")
    if resume and begun:
        if (folder_ / "asked").read_text(encoding="utf-8") != asked:
            raise UsageError(f"{folder_} was begun with other settings; --overwrite starts anew")
    else:
        shutil.rmtree(folder_, ignore_errors=True)
        writable(folder_)
        write_atomically(folder_ / "asked", asked.encode())
    yield folder_
    shutil.rmtree(folder_, ignore_errors=True)


def keep(folder: Path, chosen: Chosen) -> None:
    """Write what a step begins with."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "start.safetensors", save(chosen.state))
    text = json.dumps({"plan": chosen.plan, "told": chosen.told})
    write_atomically(folder / "plan.json", text.encode())


def kept(folder: Path) -> Chosen | None:
    """What :func:`keep` wrote; None if it did not come so far. Raises ResultError."""
    if not (folder / "plan.json").is_file():
        return None
    try:
        found = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        return Chosen(found["plan"], found["told"], load_file(folder / "start.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ResultError(f"{folder} is damaged ({error}); --overwrite starts anew") from error
