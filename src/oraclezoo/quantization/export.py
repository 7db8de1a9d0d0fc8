"""Export a model to ONNX or PT2, and check the file against eager mode on real images."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.onnx import graph_of, shipped
from oraclezoo.artifacts.resolve import learned_validation, open_data, open_model
from oraclezoo.artifacts.run import Run, writing_model
from oraclezoo.card import CARD
from oraclezoo.card.receipt import Parity
from oraclezoo.contracts import Dataset
from oraclezoo.engine.augment import standardize
from oraclezoo.errors import UsageError, VerificationError
from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.pt2 import load_pt2, to_pt2
from oraclezoo.onnx_export.session import BATCH_SIZE
from oraclezoo.onnx_export.shipped import Shipped
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.quantization.options import TOLERANCE, Export, OnnxReport, ProgramReport
from oraclezoo.receipts.measurement import Measurement
from oraclezoo.receipts.receipt import Step, parity, prove, receipt, side
from oraclezoo.receipts.timing import ROUNDS, Subject
from oraclezoo.storage import write_atomically

PROGRAM = "model.pt2"


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
    """Export a model to a file, check it against eager mode on real images, and add a receipt.

    Args:
        model: A model, a run, the folder of either, or a model's name.
        out: Folder to write the model to; required for ``pt2``.
        format: ``onnx``, or ``pt2`` for an ExportedProgram of PyTorch, which is written to ``out``
            as ``model.pt2``.
        preprocess: If True, the graph includes standardization and softmax and maps uint8 images
            ``(N, H, W)`` to probabilities ``(N, C)``. If False, it maps standardized float32 images
            ``(N, 1, H, W)`` to logits ``(N, C)``.
        opset: Version of the ONNX operator set (opset), 18 to 23.
        tolerance: Maximum accepted difference of a probability from eager mode.
        split: Split for the receipt's measurements: validation or test.
        track: Data set; by default the model's training data set.
        data_dir: Folder with the data set's files.
        results: Folder with the ledger, which records test-set evaluations.
        timed: Whether to measure latency.
        rounds: Number of timing rounds.
        settings: Pairs of batch size and number of threads to time.
        registry: Registry of components; by default one with all installed plugins.
        progress: Called with one line of text per event.

    Returns:
        The model with its ONNX file and receipt.

    Raises:
        UsageError: An option is invalid, or the model cannot be exported.
        VerificationError: A probability differs by more than ``tolerance``, or a prediction changes
            that was not a tie; nothing is written.

    Example:
        >>> model = oz.export("runs/quick-0123456789ab-s0", "exported")
    """
    return export_model(
        model,
        out,
        Export(format, preprocess, opset, tolerance),
        Measurement(track, data_dir, split, results, timed, rounds, tuple(settings or ()) or None),
        registry or build_registry(),
        progress,
    )


@writing_model
def export_model(
    model: Model | Run | str | Path,
    out: str | Path | None,
    options: Export,
    measurement: Measurement,
    registry: Registry,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Export a model like :func:`export`, with the options in data classes."""
    opened = open_model(model, registry)
    if out is not None and opened.precision != "fp32" and _same_folder(model, out):
        raise UsageError(f"{out} has a quantized model ({opened.precision}): choose another folder")
    bare = Model(opened.module, opened.card, detector=opened.detector).to("cpu")
    dataset = open_data(
        bare, registry, track=measurement.track, data_dir=measurement.data_dir, progress=progress
    )
    if progress:
        progress(f"exporting to {options.format}")
    if options.format == "pt2":
        if out is None:
            raise UsageError("format pt2 requires an output folder: pass out")
        return _export_program(bare, Path(out), dataset, options, measurement)
    exported = bare.with_onnx(
        graph_of(bare, preprocess=options.preprocess, opset=options.opset),
        opset=options.opset,
        precision="fp32",
        input="uint8" if options.preprocess else "float32",
        versions={"onnx": onnx_file.version(), "torch": torch.__version__},
    )
    step = Step("export", bare, exported, OnnxReport(options), (("eager",), ("onnxruntime",)))
    proof = prove(step, dataset, measurement, progress)
    check_parity(proof.parity, options.tolerance, "the ONNX file")
    images = np.asarray(dataset.split("validation").images[:3])
    _check_batch_sizes(exported, images, options.tolerance)
    exported = exported.with_receipt(proof)
    if out is not None:
        exported.save(out)
        advise_calibration(exported, out, progress)
    return exported


def advise_calibration(
    model: Model, folder: str | Path, progress: Callable[[str], None] | None
) -> None:
    """Report that a saved model is not calibrated, and show the command that calibrates it."""
    if progress and model.card.calibration is None and not learned_validation(model):
        command = shlex.join(["oraclezoo", "calibrate", str(folder)])
        progress(f"its probabilities are not calibrated: '{command}'")


def check_parity(agreement: Parity, tolerance: float, file: str) -> None:
    """Raise VerificationError if probabilities differ too much or non-tied predictions change."""
    changed = agreement.disagreeing - agreement.ties
    if changed or not agreement.largest_difference <= tolerance:
        raise VerificationError(
            f"{file} does not match eager PyTorch: the largest difference of a probability is "
            f"{agreement.largest_difference:.1e} (tolerance {tolerance:g}), "
            f"predictions other than ties changed: {changed}; nothing was written"
        )


def _check_batch_sizes(model: Model, images: npt.NDArray[np.uint8], tolerance: float) -> None:
    """Raise VerificationError unless images give the same results one by one as in a batch."""
    batch = model.predict(images).probabilities
    single = np.concatenate([model.predict(image).probabilities for image in images])
    check_parity(parity(batch, single), tolerance, "the ONNX file, one image at a time,")


def _export_program(
    model: Model, out: Path, dataset: Dataset, options: Export, measurement: Measurement
) -> Model:
    """Write ``model.pt2`` next to the files of the model."""
    module = shipped(model, preprocess=options.preprocess)
    content = to_pt2(
        module,
        **model.card.input.image,
        card=model.card.metadata(),
    )
    before = side(Subject(model, ()), dataset, measurement)
    images = np.asarray(dataset.split(measurement.split).images)
    probabilities = _run_program(content, images, model, isinstance(module, Shipped))
    after = before.in_form(probabilities, form="pt2", file=PROGRAM, size_bytes=len(content))
    report = ProgramReport(options, PROGRAM, hashlib.sha256(content).hexdigest())
    proof = receipt("export", before, after, report)
    check_parity(proof.parity, options.tolerance, "the .pt2 file")
    exported = model.with_receipt(proof)
    write_atomically(out / PROGRAM, content)
    exported.save(out)
    return exported


def _run_program(
    content: bytes, images: npt.NDArray[np.uint8], model: Model, preprocesses: bool
) -> npt.NDArray[np.float32]:
    """Load an ExportedProgram from the bytes of its file and return the probabilities."""
    program, scale = load_pt2(content), model.card.preprocessing
    rows = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH_SIZE):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH_SIZE]))
            if preprocesses:
                rows.append(program(batch))
            else:
                standardized = standardize(batch, scale.mean, scale.std)
                rows.append(program(standardized).float().softmax(1))
    probabilities: npt.NDArray[np.float32] = torch.cat(rows).numpy()
    return probabilities


def _same_folder(source: Model | Run | str | Path, out: str | Path) -> bool:
    return isinstance(source, (str, Path)) and Path(source).resolve() == Path(out).resolve()


def default_folder(source: str | Path, suffix: str = "") -> Path:
    """Return the default output folder of a command.

    For a model folder, this is the folder's path plus the suffix, if any. For a run folder, it is
    ``models/<name of the run>`` plus the suffix.
    """
    path = Path(source)
    if (path / CARD).is_file():
        return path.with_name(path.resolve().name + suffix)
    return Path("models") / (path.resolve().name + suffix)
