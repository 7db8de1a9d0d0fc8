"""Load a model: read and check its folder, then build the backbone."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from oraclezoo.artifacts.build import build_backbone
from oraclezoo.artifacts.model import DETECTOR, GRAPH, WEIGHTS, Model
from oraclezoo.artifacts.plugins import check_backbone
from oraclezoo.card import Card
from oraclezoo.codec import encode
from oraclezoo.compression.channels.plan import Plan
from oraclezoo.compression.torch_form import Form
from oraclezoo.documents import read_file
from oraclezoo.errors import OracleZooError, ResultError
from oraclezoo.onnx_export.detector import Detector
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.serving.listing import MODELS
from oraclezoo.serving.names import locate
from oraclezoo.serving.store import store_folder
from oraclezoo.specs import Value
from oraclezoo.storage import current

logger = logging.getLogger(__name__)

MAX_BYTES = 16 << 30
"""Maximum size of the weights file and of the ONNX file: 16 GiB."""

PRECISIONS = ("fp32", "fp16", "int8")
"""Precisions of an ONNX graph."""


def load(model: str | Path, registry: Registry | None = None) -> Model:
    """Load a model on the CPU.

    Args:
        model: A name (see ``oraclezoo models list``), or the folder of a saved model.
        registry: Registry of components; by default all installed components.

    Raises:
        ResultError: A file is missing, corrupt, or does not match the card.
        UnknownNameError: No model has this name.
        DownloadError: The model cannot be downloaded.

    Example:
        >>> model = oz.load("oraclenet_n")
        >>> model.predict("bone.jpg").labels  # doctest: +SKIP
        array([4])
    """
    known = registry or build_registry()
    path = locate(model, lambda: known)
    try:
        card = Card.load(path)
        state = _read_weights(path, card)
        graph, form = _read_graph(path, card), _read_form(card)
        detector = _read_detector(path, card)
    except FileNotFoundError as error:
        raise ResultError(f"{path} is not a model folder: {error.filename} is missing") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise ResultError(f"{path}: the model cannot be read ({error})") from error
    module = assemble(card, state, known, str(path)).module
    model_with_files = Model(module, card, graph, form, detector)
    if graph is not None:
        model_with_files.onnx_classifier(str(path / GRAPH))
    return model_with_files


def _read_weights(path: Path, card: Card) -> dict[str, torch.Tensor]:
    """Return the weights. Raises ValueError if their digest does not match the card."""
    content = read_file(current(path, WEIGHTS), MAX_BYTES)
    if card.weights_file is None:
        if path.parent not in (MODELS, store_folder()):  # locate checks the digests there
            logger.warning(
                "%s was saved by oraclezoo 0.1 without a digest of its weights; save it again to "
                "have damage noticed",
                path,
            )
    elif hashlib.sha256(content).hexdigest() != card.weights_file.sha256:
        raise ValueError(f"the SHA-256 of {WEIGHTS} is not that in its card")
    return load_tensors(content)


def _read_form(card: Card) -> Form | None:
    """Return a card's low-precision entry. Raises ValueError if it is invalid or inconsistent."""
    if card.form is not None and card.onnx is not None:
        raise ValueError("its card has both an ONNX file and a PyTorch precision")
    return None if card.form is None else Form.from_json(card.form)


def _read_detector(path: Path, card: Card) -> Detector | None:
    """Return the detector of a card. Raises ValueError if its digest does not match."""
    if card.unknown is None:
        return None
    if card.unknown.file != DETECTOR:
        raise ValueError(f"the weights of the detector must be in {DETECTOR}")
    content = read_file(current(path, DETECTOR), MAX_BYTES)
    if hashlib.sha256(content).hexdigest() != card.unknown.sha256:
        raise ValueError(f"the SHA-256 of {DETECTOR} is not that in its card")
    return Detector.from_bytes(content, len(card.classes))


def _read_graph(path: Path, card: Card) -> bytes | None:
    """Return the contents of a card's ONNX file. Raises ValueError if its digest does not match."""
    entry = card.onnx
    if entry is None:
        return None
    if entry.file != GRAPH or entry.precision not in PRECISIONS:
        raise ValueError(
            f"onnx is {encode(entry)}; the file must be {GRAPH}, and the precision one of "
            f"{', '.join(PRECISIONS)}"
        )
    content = read_file(current(path, GRAPH), MAX_BYTES)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ValueError(f"the SHA-256 of {GRAPH} is not that in its card")
    return content


def assemble(card: Card, state: dict[str, torch.Tensor], registry: Registry, where: str) -> Model:
    """Build the backbone of a card, prune it according to the card's plan and load its weights.

    Args:
        card: The card.
        state: The weights.
        registry: Registry of backbones.
        where: Path of the model, for error messages.

    Raises:
        ResultError: Card and weights do not match.
        UsageError: The backbone or one of its options is unknown.
    """
    name, shape = card.backbone.name, asdict(card.input)
    if card.backbone.options.get("pretrained"):
        raise ResultError(f"{where}: its card requests pretrained weights in addition to its own")
    options = {key: value for key, value in card.backbone.options.items() if value is not None}
    check_backbone(card, registry, where)
    try:
        plan = None if card.plan is None else Plan.from_json(card.plan)
        outline = _outline(registry, name, options, shape, plan)
    except ResultError as error:
        raise ResultError(f"{where}: {error}") from error
    values: Mapping[str, object] = state  # a checkpoint may hold anything
    strange = [key for key, value in values.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ResultError(f"{where}: {strange[0]} is not a tensor")
    stated = {key: tuple(value.shape) for key, value in state.items()}
    expected = {key: tuple(value.shape) for key, value in outline.items()}
    if outline and stated != expected:
        wrong = sorted(k for k in stated | expected if stated.get(k) != expected.get(k))[0]
        raise ResultError(
            f"{where}: the weights do not match backbone {name}: {wrong} has shape "
            f"{stated.get(wrong)}, not {expected.get(wrong)}"
        )
    module = build_backbone(registry, name, options, shape)
    try:
        if plan is not None:
            plan.apply(module)
        module.load_state_dict(state)
    except ResultError as error:
        raise ResultError(f"{where}: {error}") from error
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ResultError(f"{where}: the weights do not match backbone {name}: {first}") from error
    return Model(module, card)


def _outline(
    registry: Registry,
    name: str,
    options: Mapping[str, Value],
    shape: dict[str, int],
    plan: Plan | None,
) -> dict[str, torch.Tensor]:
    """Return a backbone's state dict on the meta device, since a card may state any size.

    Returns an empty state dict if the backbone cannot be built there.
    """
    try:
        with torch.device("meta"):
            module = build_backbone(registry, name, options, shape)
            return (module if plan is None else plan.apply(module)).state_dict()
    except OracleZooError:
        raise
    except Exception:  # for example, a plugin's constructor may read tensor values
        return {}
