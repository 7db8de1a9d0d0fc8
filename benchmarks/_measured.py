"""Shared code of the speed benchmarks: options, documents, and ratios of medians."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

Figures = dict[str, Any]
_CHUNK = 50_000


def options(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every speed benchmark."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--quick", action="store_true", help="run a smoke test in under a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    return parser


def positive(text: str) -> int:
    """Parse a positive integer, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return number


def names(text: str) -> list[str]:
    """Parse comma-separated names, for argparse."""
    stripped = [name.strip() for name in text.split(",") if name.strip()]
    if not stripped:
        raise argparse.ArgumentTypeError("expected comma-separated names")
    return stripped


def emit(schema: str, data: Mapping[str, Any], arguments: argparse.Namespace) -> bool:
    """Write the document to ``--out``, print it for ``--json``, and return whether it printed."""
    text = json.dumps({"schema": schema, "data": data}, indent=2, ensure_ascii=False)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")
    if arguments.json:
        print(text)
    return bool(arguments.json)


def spread(values: Sequence[float], digits: int = 1) -> Figures:
    """Return median, minimum and maximum of a row's turns, and all turns."""
    rounded = [round(value, digits) for value in values]
    return {
        "median": round(median(rounded), digits),
        "min": min(rounded),
        "max": max(rounded),
        "turns": rounded,
    }


def quotient(over: Figures, under: Figures) -> Figures:
    """Return the ratio of two rows' medians, and the range of ratios within rounds."""
    pairs = zip(over["turns"], under["turns"], strict=True)
    within = [one / other for one, other in pairs]
    return {
        "value": round(over["median"] / under["median"], 3),
        "min": round(min(within), 3),
        "max": round(max(within), 3),
    }


def load_average() -> float | None:
    """Return the load average of the last minute; None where the system has none."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


@contextmanager
def machine(device: str, threads: int | None) -> Iterator[Figures]:
    """Record hardware and libraries, and the load before and after the measurement inside."""
    import torch

    from oraclezoo.engine.device import pick
    from oraclezoo.measure import hardware

    if threads is not None:
        torch.set_num_threads(threads)
    target = pick(device)
    about: Figures = {
        "device": str(target),
        "hardware": hardware.describe(target),
        "libraries": hardware.libraries() | _version("lightning"),
        "load_average_before": load_average(),
    }
    yield about
    about["load_average_after"] = load_average()


def _version(name: str) -> dict[str, str]:
    try:
        return {name: metadata.version(name)}
    except metadata.PackageNotFoundError:
        return {}


def noise(folder: Path, images: int, size: int = 28) -> Path:
    """Write IDX files of noise for the track ``idx``, with ``images`` training images.

    The training file has more, because the track splits off a tenth of it for validation.
    """
    import numpy as np

    from oraclezoo.data.idx import write_idx

    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, count in (("train", images + -(-images // 9)), ("t10k", 10)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
        header = bytes((0, 0, 8, 3))
        header += b"".join(number.to_bytes(4, "big") for number in (count, size, size))
        with (folder / f"{part}-images-idx3-ubyte").open("wb") as file:
            file.write(header)
            for first in range(
                0, count, _CHUNK
            ):  # a million images in one piece need too much memory
                some = min(_CHUNK, count - first)
                file.write(generator.bytes(some * size * size))
    return folder
