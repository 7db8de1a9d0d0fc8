"""Derived random seeds for each source of randomness, and torch's random state."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def derive(seed: int, axis: str, index: int = 0) -> int:
    """Return a 63-bit seed for one source of randomness, such as "initialization" or "order".

    Recipes that are trained with the same seed have the same derived seeds, and therefore the same
    data order, the same augmentation and, for the same backbone, the same initial weights.
    """
    digest = hashlib.sha256(f"oraclezoo/{axis}/{seed}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return torch's random state for the CPU and, on CUDA, for the device."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Restore a state from :func:`random_state`; a CUDA state is ignored on other devices."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
