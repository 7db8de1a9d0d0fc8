"""Export: a model as ONNX or as torch's exported program, held against eager."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oraclezoo.artifacts.model import CARD, Model
from oraclezoo.artifacts.onnx import graph_of, shipped
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run
from oraclezoo.card import metadata
from oraclezoo.contracts import Dataset
from oraclezoo.engine.augment import standardise
from oraclezoo.errors import UsageError, VerificationError
from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.pt2 import load_pt2, to_pt2
from oraclezoo.onnx_export.session import BATCH_SIZE
from oraclezoo.onnx_export.shipped import Shipped
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.receipts.receipt import parity, prove, receipt, side
from oraclezoo.receipts.timing import ROUNDS, Subject
from oraclezoo.result import write_atomically

FORMATS = ("onnx", "pt2")
PROGRAM = "model.pt2"
TOLERANCE = 1e-4
"""The most that a probability of the exported file may differ from eager's."""


def export(
    model: Model | Run | str | Path,
    out: str | Path | None = None,
    *,
    format: str = "onnx",
    preprocess: bool = True,
    opset: int = onnx_file.OPSET,
    tolerance: float = TOLERANCE,
    split: str = "validation",
    track: str | None = None,
    data_dir: str | Path | None = None,
    results: str | Path = "results",
    timed: bool = True,
    rounds: int = ROUNDS,
    settings: Sequence[tuple[int, int]] | None = None,
    registry: Registry | None = None,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Export a model, check the file against eager on real images, and add the receipt.

    The result, written to the folder ``out`` if one is given, has the ONNX file; a ``pt2`` program
    is only written, as ``model.pt2`` in ``out``. ``preprocess`` puts standardisation and softmax
    inside: uint8 ``(N, H, W)`` -> probabilities, else standardised float32 -> logits. Raises
    VerificationError if a probability differs by more than ``tolerance`` or, beyond ties, a
    prediction does; UsageError if the model cannot be exported. Then nothing is written.
    """
    if format not in FORMATS:
        raise UsageError(f"format is '{format}'; it must be one of {', '.join(FORMATS)}")
    registry = registry or build_registry()
    opened = open_model(model, registry)
    if out is not None and opened.precision != "fp32" and _same(model, out):
        raise UsageError(
            f"{out} holds a {opened.precision} model, which would be lost: give another"
        )
    bare = Model(opened.module, opened.card).to("cpu")
    dataset = open_data(bare, registry, track=track, data_dir=data_dir, progress=progress)
    options = {"format": format, "preprocess": preprocess, "tolerance": tolerance}
    if progress:
        progress(f"exporting to {format}")
    if format == "pt2":
        if out is None:
            raise UsageError("a .pt2 file needs a folder to be written to: give out")
        return _export_program(bare, Path(out), dataset, options, split, track, results)
    options["opset"] = opset
    content = graph_of(bare, preprocess=preprocess, opset=opset)
    done = bare.with_onnx(
        content,
        opset=opset,
        precision="fp32",
        input="uint8" if preprocess else "float32",
        versions={"onnx": onnx_file.version(), "torch": torch.__version__},
    )
    made = prove(
        "export",
        options,
        bare,
        done,
        dataset,
        split=split,
        track=track,
        results=results,
        timed=timed,
        rounds=rounds,
        settings=settings,
        runtimes=(("eager",), ("onnxruntime",)),
        progress=progress,
    )
    check_parity(made["parity"], tolerance, "the ONNX file")
    _check_batches(done, np.asarray(dataset.split("validation").images[:3]), tolerance)
    done = done.with_receipt(made)
    if out is not None:
        done.save(out)
    return done


def check_parity(found: dict[str, Any], tolerance: float, what: str) -> None:
    """Raise VerificationError unless predictions agree, ties aside, and probabilities nearly."""
    apart = found["disagreeing"] - found["ties"]
    if apart or not found["largest_difference"] <= tolerance:
        raise VerificationError(
            f"{what} does not do what eager does: probabilities differ by up to "
            f"{found['largest_difference']:.1e} (at most {tolerance:g}), {apart} predictions "
            "beyond ties; nothing was written"
        )


def _check_batches(model: Model, images: npt.NDArray[np.uint8], tolerance: float) -> None:
    """One image at a time gives what several give."""
    together = model.predict(images).probabilities
    alone = np.concatenate([model.predict(image).probabilities for image in images])
    check_parity(parity(together, alone), tolerance, "the ONNX file, one image at a time,")


def _export_program(
    model: Model,
    out: Path,
    dataset: Dataset,
    options: dict[str, Any],
    split: str,
    track: str | None,
    results: str | Path,
) -> Model:
    """Write ``model.pt2`` beside the model's own files."""
    given = model.card["input"]
    module = shipped(model, preprocess=options["preprocess"])
    content = to_pt2(
        module,
        in_chans=given["in_chans"],
        image_size=given["image_size"],
        card=metadata(model.card),
    )
    options |= {"file": PROGRAM, "sha256": hashlib.sha256(content).hexdigest()}
    before = side(Subject(model, ()), dataset, split, results, track)
    found = _run_program(
        content, np.asarray(dataset.split(split).images), model, isinstance(module, Shipped)
    )
    after = before.with_probabilities(found, form="pt2", file=PROGRAM, size_bytes=len(content))
    made = receipt("export", options, before, after)
    check_parity(made["parity"], options["tolerance"], "the .pt2 file")
    done = model.with_receipt(made)
    write_atomically(out / PROGRAM, content)
    done.save(out)
    return done


def _run_program(
    content: bytes, images: npt.NDArray[np.uint8], model: Model, whole: bool
) -> npt.NDArray[np.float32]:
    """Probabilities by the program as it is read back from its bytes."""
    program, scale = load_pt2(content), model.card["preprocessing"]
    rows = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH_SIZE):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH_SIZE]))
            if whole:
                rows.append(program(batch))
            else:
                given = standardise(batch, scale["mean"], scale["std"])
                rows.append(program(given).float().softmax(1))
    found: npt.NDArray[np.float32] = torch.cat(rows).numpy()
    return found


def _same(source: Model | Run | str | Path, out: str | Path) -> bool:
    return isinstance(source, (str, Path)) and Path(source).resolve() == Path(out).resolve()


def default_folder(source: str | Path, suffix: str = "") -> Path:
    """Where a step's result goes when nothing is said.

    Beside a model's folder, as its name with the suffix; ``models/<run name>`` for a run's folder.
    Without a suffix that is the model's folder itself.
    """
    path = Path(source)
    if (path / CARD).is_file():
        return path.with_name(path.resolve().name + suffix)
    return Path("models") / (path.resolve().name + suffix)
