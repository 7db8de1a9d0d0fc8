"""Write the drawing page to a folder for any file server; the model runs in the browser."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oraclezoo.card import CARD, Card
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.page.files import SETTINGS, STATIC
from oraclezoo.page.runtime import FILES, LICENSE, VERSION, WASM, Runtime
from oraclezoo.storage import current


@dataclass(frozen=True, slots=True)
class PageModel:
    """A model that the page offers; ``summary`` is a one-line description, or ""."""

    name: str
    folder: Path
    summary: str = ""


def write_page(
    out: Path, models: Sequence[PageModel], runtime: Runtime, *, overwrite: bool = False
) -> None:
    """Write the page, its models and the runtime to a folder.

    The folder is written atomically.

    Args:
        out: The folder.
        models: The available models; the first is the default.
        runtime: ONNX Runtime for browsers.
        overwrite: Replace an existing page in ``out``. Other nonempty folders are never replaced.

    Raises:
        UsageError: ``out`` exists and must not be replaced, or cannot be written; or two models
            have the same name.
        ResultError: A model has no ONNX file or is corrupt.
    """
    names = [model.name for model in models]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"two models are named {repeated}; rename the folder of one")
    _require_free(out, overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            page = Path(temporary, "page")
            shutil.copytree(STATIC, page)
            for model in models:
                _copy_model(model, page / "models" / model.name)
            _write_runtime(runtime, page / "runtime")
            settings = {
                "home": "static",
                "models": [{"name": each.name, "summary": each.summary} for each in models],
                "runtime": {
                    "version": VERSION,
                    "bytes": len(runtime.files[WASM]),
                    "sha256": FILES[WASM],
                },
            }
            text = json.dumps(settings, ensure_ascii=False, indent=2)
            (page / SETTINGS).write_text(text + "\n", encoding="utf-8")
            if out.exists():
                out.replace(Path(temporary, "old"))
            page.replace(out)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror or error})") from error


def page_name(model: str) -> str:
    """Return a name for a model that is safe in URLs, from the name of a zoo model or a folder."""
    name = re.sub(r"[^\w.-]+", "-", Path(model).name or Path(model).resolve().name).strip(".-")
    return name or "model"


def _require_free(out: Path, overwrite: bool) -> None:
    """Raise UsageError unless the page can be written to ``out``."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / SETTINGS).is_file():
        raise UsageError(f"{out} exists and is not a page; choose another folder")
    if not overwrite:
        raise UsageError(f"{out} holds a page: pass --overwrite to replace it")


def _copy_model(model: PageModel, folder: Path) -> None:
    card = Card.load_served(model.folder)
    assert card.onnx is not None
    folder.mkdir(parents=True)
    for name in (CARD, card.onnx.file):
        try:
            shutil.copyfile(current(model.folder, name), folder / name)
        except FileNotFoundError as error:
            raise ResultError(f"{model.folder}: {name} is missing") from error


def _write_runtime(runtime: Runtime, folder: Path) -> None:
    folder.mkdir()
    for name, content in runtime.files.items():
        (folder / name).write_bytes(content)
    shutil.copyfile(LICENSE, folder / "LICENSE.txt")
