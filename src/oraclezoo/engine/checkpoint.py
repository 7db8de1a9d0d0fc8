"""Checkpoints: a nested state in one safetensors file.

Tensors are stored as such, and the rest of the tree as JSON in the file's header. Because there is
only one file, a new checkpoint replaces the old one atomically. Pickle is not used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer

from oraclezoo.errors import PluginError, ResultError
from oraclezoo.storage import write_atomically

logger = logging.getLogger(__name__)

_KEY = "oraclezoo/state/2"
_KEY_1 = "oraclezoo/state/1"
"""Metadata key of the tree in checkpoints of version 0.1, which have no digest."""
RESUMED = ("recipe", "seed", "optimizer", "scheduler", "scaler", "random", "progress")
"""Entries that a training run needs to resume, in addition to the weights."""

_TAGS = ("tensor", "tuple", "dict")


def save_state(path: Path, state: Any) -> None:
    """Atomically write a tree of dicts, lists, tuples, numbers, strings, None and tensors.

    Raises PluginError if a component's state contains a value of any other type.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_flatten(state, "state", tensors))
    header = json.dumps({"tree": tree, "sha256": _digest(tree, tensors)})
    write_atomically(path, save(tensors, metadata={_KEY: header}))


def load_state(path: Path) -> Any:
    """Return the tree that :func:`save_state` wrote, with tensors on the CPU.

    ``load_state_dict`` moves the tensors to the device. Optimizers' step counts stay on the CPU,
    so that reading them does not require synchronization with the device. Raises ResultError if
    the file cannot be read or its content does not match its digest.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would block
            raise OSError("not a regular file")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _KEY not in metadata and _KEY_1 in metadata:
            logger.warning(
                "%s was saved by oraclezoo 0.1 without a digest: damage to it is not noticed", path
            )
        return _restore(json.loads(_tree(metadata, tensors)), tensors)
    except FileNotFoundError as error:
        raise ResultError(f"{path}: checkpoint not found") from error
    except RecursionError as error:
        raise ResultError(
            f"{path}: not a valid oraclezoo checkpoint (nested too deeply)"
        ) from error
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ResultError(f"{path}: not a valid oraclezoo checkpoint ({error})") from error


def load_checkpoint(path: Path, *keys: str) -> dict[str, Any]:
    """Return the state of a training run that :func:`save_state` wrote.

    Args:
        path: The checkpoint.
        *keys: Entries that the state must have, in addition to the weights in ``model``.

    Returns:
        The state.

    Raises:
        ResultError: The file cannot be read, or is no checkpoint of a training run.
    """
    state = load_state(path)
    missing = [key for key in ("model", *keys) if not isinstance(state, dict) or key not in state]
    if missing:
        raise ResultError(f"{path}: not a checkpoint of a training run (no {missing[0]})")
    for key in {"model", "ema"} & state.keys():
        if not isinstance(state[key] if state[key] or key == "model" else {}, dict):
            raise ResultError(f"{path}: not a checkpoint of a training run ({key} has no names)")
    return dict(state)


def _tree(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return the tree as JSON text. Raises ValueError if the digest does not match."""
    if _KEY not in metadata:
        return metadata[_KEY_1]
    header = json.loads(metadata[_KEY])
    tree = header["tree"]
    if not isinstance(tree, str):
        raise TypeError("its tree is not text")
    if _digest(tree, tensors) != header["sha256"]:
        raise ValueError("corrupt: its SHA-256 differs")
    return tree


def _digest(tree: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a tree and of the name, dtype, shape and bytes of each tensor."""
    digest = hashlib.sha256(tree.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_optimizer(optimizer: Optimizer, state: Any) -> None:
    """Load an optimizer's state, with each tensor in the memory layout of its parameter.

    Checkpoints do not store memory layouts, and PyTorch's fused CPU optimizers iterate in memory
    order: a momentum buffer in a different layout would be applied to the wrong elements.
    """
    optimizer.load_state_dict(state)
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.ndim > 1 and value.shape == parameter.shape:
                entries[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def unsavable(node: Any, where: str) -> str:
    """Return why :func:`save_state` would reject a state, or "" if it would not; copies nothing."""
    if node is None or isinstance(node, (Tensor, bool, int, float, str)):
        return ""
    if isinstance(node, (list, tuple)):
        pairs: Iterable[tuple[object, Any]] = enumerate(node)
    elif isinstance(node, dict):
        wrong = [key for key in node if not isinstance(key, (str, int))]
        if wrong:
            return f"{where} has the key {wrong[0]!r}"
        pairs = node.items()
    else:
        return f"{where} is a {type(node).__name__}"
    faults = (unsavable(item, f"{where}.{key}") for key, item in pairs)
    return next(filter(None, faults), "")


def _flatten(node: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, Tensor):
        # a contiguous copy, since safetensors rejects shared and strided memory
        while where in tensors:  # keys 0 and "0" have the same text
            where += "'"
        tensors[where] = node.detach().cpu().contiguous().clone()
        return {"tensor": where}
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if isinstance(node, (list, tuple)):
        items = [_flatten(item, f"{where}.{i}", tensors) for i, item in enumerate(node)]
        return {"tuple": items} if isinstance(node, tuple) else items
    if isinstance(node, dict):
        pairs = []
        for key, value in node.items():
            if not isinstance(key, (str, int)):
                raise PluginError(f"{where}: cannot save the state key {key!r}")
            pairs.append([key, _flatten(value, f"{where}.{key}", tensors)])
        return {"dict": pairs}
    raise PluginError(
        f"{where}: cannot save a {type(node).__name__}; state must be tensors and plain values"
    )


def _restore(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, list):
        return [_restore(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    ((tag, value),) = node.items()
    if tag == "tensor":
        return tensors[value]
    if tag == "tuple":
        return tuple(_restore(item, tensors) for item in value)
    if tag == "dict":
        return {key: _restore(item, tensors) for key, item in value}
    raise ValueError(f"unknown tag '{tag}'; known tags: {', '.join(_TAGS)}")
