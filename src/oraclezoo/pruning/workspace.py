"""Working directory of an unfinished job; ``--resume`` continues from it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from oraclezoo.artifacts.run import writable
from oraclezoo.card import CARD
from oraclezoo.compression.channels.plan import Plan
from oraclezoo.documents import read_json
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.pruning.options import Cut
from oraclezoo.storage import current, write_atomically

FOLDER = "pruning"
"""Name of the working directory of a pruning job, inside the model's folder."""

DIGEST = "asked"
"""File that contains the digest of all inputs of the job."""


@dataclass(frozen=True)
class Start:
    """State from which a step's fine-tuning starts: the plan so far, the cut, and the weights."""

    plan: Plan
    cut: Cut
    state: dict[str, Tensor]


@contextmanager
def working(
    folder: Path | None, digest: str, *, resume: bool, overwrite: bool, name: str = FOLDER
) -> Iterator[Path]:
    """Provide the working directory of a job, and delete it if the job succeeds.

    Args:
        folder: Folder that the model will be written to; None for a temporary working directory.
        digest: Digest of all inputs that affect the result. A job can be resumed only if its digest
            is the same.
        resume: Whether to resume an unfinished job in ``folder``.
        overwrite: Whether to discard an unfinished job or a model in ``folder``.
        name: Name of the working directory in ``folder``.

    Raises:
        UsageError: ``folder`` contains a model, an unfinished job that is neither resumed nor
            overwritten, or a job that was started with different options.
    """
    if resume and overwrite:
        raise UsageError("use either --resume or --overwrite, not both")
    if folder is None:
        if resume:
            raise UsageError("cannot resume without a folder: pass the folder of the stopped job")
        with tempfile.TemporaryDirectory(prefix=f"oraclezoo-{name}-") as temporary:
            yield Path(temporary)
        return
    work, marker = folder / name, _marker(folder, name)
    started = (work / DIGEST).is_file()
    if started and not (resume or overwrite):
        raise UsageError(
            f"{folder} has an unfinished {name}: pass --resume to continue, --overwrite to restart"
        )
    if (folder / CARD).is_file() and not overwrite and not (resume and started):
        raise UsageError(
            f"{folder} already contains a model: pass --overwrite to replace it, or choose "
            "another folder"
        )
    if resume and started:
        if (work / DIGEST).read_text(encoding="utf-8") != digest:
            raise UsageError(
                f"{work} was started with different options: use the same ones, or restart with "
                "--overwrite"
            )
    else:
        marker.unlink(missing_ok=True)
        shutil.rmtree(work, ignore_errors=True)
        writable(work)
        write_atomically(work / DIGEST, digest.encode())
    yield work
    write_atomically(marker, digest.encode())
    shutil.rmtree(work, ignore_errors=True)


def is_finished(folder: Path, digest: str, name: str = FOLDER) -> bool:
    """Return whether a job with the same inputs has already written its model to a folder.

    Args:
        folder: Folder of the model.
        digest: Digest of the inputs, as for :func:`working`.
        name: Name of the working directory.
    """
    if (folder / name).exists() or not current(folder, CARD).is_file():
        return False
    marker = _marker(folder, name)
    return marker.is_file() and marker.read_text(encoding="utf-8") == digest


def _marker(folder: Path, name: str) -> Path:
    """Return the path of the file with a finished job's digest."""
    return folder / f".{name}"


def write_start(folder: Path, start: Start) -> None:
    """Write the state from which a step's fine-tuning starts."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "start.safetensors", save(start.state))
    text = json.dumps({"plan": start.plan.to_json(), "told": asdict(start.cut)})
    write_atomically(folder / "plan.json", text.encode())


def read_start(folder: Path) -> Start | None:
    """Return the state that :func:`write_start` wrote, or None if there is none.

    Raises:
        ResultError: The files are corrupt.
    """
    if not (folder / "plan.json").is_file():
        return None
    try:
        document = read_json(folder / "plan.json")
        plan, cut = Plan.from_json(document["plan"]), Cut(**document["told"])
        return Start(plan, cut, load_file(folder / "start.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, ResultError) as error:
        raise ResultError(f"{folder} is corrupt ({error}): restart with --overwrite") from error
