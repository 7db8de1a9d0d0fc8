"""Receipts as text: the effect of a compression step in a few aligned lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from oraclezoo.cli._shared.app import emit_json


def show_step(step: str, folder: object, receipts: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print the folder of the new model and its last receipt."""
    receipt = receipts[-1]
    if as_json:
        emit_json(f"oraclezoo/{step}/1", {"folder": str(folder), "receipt": receipt})
        return
    click.echo(f"{folder}\n{receipt_text(receipt)}")


def receipt_text(receipt: dict[str, Any]) -> str:
    """Format a receipt as a table of before and after, with intervals and notes."""
    rows = list(_rows(receipt))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{receipt['step']}{_options(receipt['options'])}",
        f"on {receipt['images']} {receipt['split']} images of {receipt['track']}, "
        f"{receipt['created']}, oraclezoo {receipt['oraclezoo']}, {receipt['hardware']['device']}",
    ]
    for name, before, after, what in rows:
        cells = (name.ljust(widths[0]), before.rjust(widths[1]), after.rjust(widths[2]))
        lines.append(f"  {'  '.join(cells)}   {what}".rstrip())
    lines += [f"  note: {note}" for note in receipt["notes"]]
    return "\n".join(lines)


def _rows(receipt: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    before, after, accuracy = receipt["before"], receipt["after"], receipt["accuracy"]
    low, high = (100 * bound for bound in accuracy["ci95"])
    yield "", "before", "after", ""
    yield "form", _form(before), _form(after), ""
    yield (
        "accuracy",
        f"{100 * before['accuracy']:.1f}%",
        f"{100 * after['accuracy']:.1f}%",
        f"{100 * accuracy['difference']:+.2f} points (95%, paired over {accuracy['over']}: "
        f"{low:+.2f} to {high:+.2f}; one-sided limit of the drop {_points(accuracy)}); "
        f"{accuracy['lost']} predictions lost, {accuracy['gained']} gained",
    )
    parity = receipt["parity"]
    agreement = f"{100 * parity['agreement']:.1f}%"
    difference = f"largest probability difference {parity['largest_difference']:.1e}"
    yield "agreement", "", agreement, difference
    for key, name in (("parameters", "parameters"), ("macs", "multiply-accumulates")):
        yield name, _count(before[key]), _count(after[key]), _less(receipt["ratios"][key], "fewer")
    smaller = _less(receipt["ratios"]["size_bytes"], "smaller")
    yield "bytes on disk", _count(before["size_bytes"]), _count(after["size_bytes"]), smaller
    yield from _latencies(receipt)
    for runtime in {**before["peak_memory_bytes"], **after["peak_memory_bytes"]}:
        peaks = [side["peak_memory_bytes"].get(runtime) for side in (before, after)]
        cells = ["" if peak is None else f"{peak / 1e6:.0f} MB" for peak in peaks]
        yield f"peak memory, {runtime}", cells[0], cells[1], "of the whole process"
    yield from _on_device(before, after)


def _on_device(
    before: dict[str, Any], after: dict[str, Any]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield device memory and compilation time of torch runtimes."""
    for key, name, scale, unit, what in (
        ("peak_device_memory_bytes", "device memory", 1e-6, "MB", "peak of tensors"),
        ("compile_s", "compilation", 1, "s", "for all settings; less with a warm cache"),
    ):
        values = [side.get(key, {}) for side in (before, after)]
        for runtime in {**values[0], **values[1]}:
            cells = [f"{scale * of[runtime]:.3g} {unit}" if runtime in of else "" for of in values]
            yield f"{name}, {runtime}", cells[0], cells[1], what


def _latencies(receipt: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    keys = ("runtime", "batch_size", "threads")
    times: dict[tuple[Any, ...], list[str]] = {}
    for side in ("before", "after"):
        for row in receipt[side]["latency"]:
            cells = times.setdefault(tuple(row[key] for key in keys), ["", ""])
            text = f"{row['p50_ms']:.3g} / {row['p95_ms']:.3g} ms"
            cells[side == "after"] = text
    for (runtime, batch_size, threads), cells in times.items():
        speed = [
            row
            for row in receipt["speedups"]
            if tuple(row[key] for key in keys) == (runtime, batch_size, threads)
        ]
        words = f"p50 / p95, batch {batch_size}, threads {threads}"
        if speed:
            row = speed[0]
            across = "" if row["from_runtime"] == runtime else f" of {row['from_runtime']}"
            words += (
                f": {row['speedup']:.2f}x the speed{across} ({row['low']:.2f} to {row['high']:.2f})"
            )
        yield runtime, cells[0], cells[1], words


def _options(options: dict[str, Any]) -> str:
    short = {
        key: f"{value:.3g}" if isinstance(value, float) else value
        for key, value in options.items()
        if isinstance(value, (str, int, float)) and value != "" and key != "sha256"
    }
    words = ", ".join(f"{key} {value}" for key, value in short.items())
    return f" ({words})" if words else ""


def _form(side: dict[str, Any]) -> str:
    return f"{side['form']} {side['precision']}"


def _points(accuracy: dict[str, Any]) -> str:
    return f"{100 * accuracy['loss_limit95']:.2f}"


def _count(number: int) -> str:
    return f"{number:,}"


def _less(ratio: float | None, word: str) -> str:
    if ratio is None or abs(ratio - 1) < 5e-3:
        return ""
    return f"{ratio:.2f}x {word}" if ratio > 1 else f"{1 / ratio:.2f}x more"
