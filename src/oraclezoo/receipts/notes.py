"""Notes of a receipt: what a reader of its figures must not overlook, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CERTAIN = 1.05
"""A factor of time smaller than this is not told from none."""
NOISE = 1.25
"""Rounds of one measurement that differ by this factor are worth a remark."""


def notes(made: dict[str, Any]) -> list[str]:
    """All that there is to say of a receipt, the worst first."""
    return [*_worse(made), *_missing(made), *_weak(made)]


def setting(row: dict[str, Any]) -> str:
    """A setting of a latency row in words."""
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    return f"batch {row['batch_size']}, {threads}"


def _worse(made: dict[str, Any]) -> Iterator[str]:
    for row in made["speedups"]:
        slow, fast = 1 / CERTAIN, CERTAIN
        if max(row["high"], row["speedup"]) < slow:
            yield (
                f"slower than before on this machine: {row['runtime']}, {setting(row)}, takes "
                f"{1 / row['speedup']:.2f} times as long"
            )
        elif min(row["low"], row["speedup"]) < fast:
            yield (
                f"no faster for certain on this machine: {row['runtime']}, {setting(row)}, "
                f"{row['low']:.2f} to {row['high']:.2f} times from round to round"
            )
    before, after = made["before"], made["after"]
    if after["size_bytes"] > before["size_bytes"]:
        bytes_ = f"{after['size_bytes']:,} bytes after {before['size_bytes']:,}"
        yield f"larger than before on disk: {after['file']} has {bytes_}"


def _missing(made: dict[str, Any]) -> Iterator[str]:
    for side in ("before", "after"):
        for runtime, reason in made[side]["not_run"].items():
            yield f"no times of {runtime} {side} the step: {reason}"
    if not made["before"]["latency"]:
        yield "no times were taken"


def _weak(made: dict[str, Any]) -> Iterator[str]:
    accuracy = made["accuracy"]
    if accuracy["lost"] == accuracy["gained"] == 0:
        yield (
            f"no answer of {made['images']} became right or wrong: the interval of no width says "
            "nothing of changes too rare for so few images"
        )
    if made["learned"]:
        yield (
            "the model was trained on the validation images too: accuracy there is flattered, and "
            "a loss may be larger elsewhere"
        )
    if made["synthetic"]:
        yield "measured on generated characters, not on real ones"
    if any(row["runtime"] != row["from_runtime"] for row in made["speedups"]):
        yield "speed is compared across runtimes, for want of a common one"
    for side in ("before", "after"):
        spread = [
            max(row["p50_ms_rounds"]) / min(row["p50_ms_rounds"]) for row in made[side]["latency"]
        ]
        if spread and max(spread) > NOISE:
            yield f"times {side} the step differ by up to {max(spread):.1f} times between rounds"
