"""Format receipts as text: the effect of a compression step in a few aligned lines."""

from __future__ import annotations

from collections.abc import Iterator

import click

from oraclezoo.card.receipt import LatencyRow, Metrics, Receipt, Speedup
from oraclezoo.cli._shared.app import emit_json, terminal_columns, wrapped
from oraclezoo.codec import Document

Row = tuple[str, str, str, str]
"""Name, value before, value after, and comment."""


def show_step(step: str, folder: object, receipt: Receipt, as_json: bool) -> None:
    """Print the folder of the new model and the receipt of the step."""
    if as_json:
        document = {"folder": str(folder), "receipt": receipt.to_json()}
        emit_json(f"oraclezoo/{step}/1", document)
        return
    click.echo(f"{folder}\n{receipt_text(receipt)}")


def receipt_text(receipt: Receipt) -> str:
    """Format a receipt: a verdict of two lines, then a table of before and after, and notes.

    On a terminal, long comments continue on separate lines.
    """
    rows, columns = list(_rows(receipt)), terminal_columns()
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        *(click.style(line, bold=True) for line in verdict(receipt)),
        f"{receipt.step}{_options(receipt.options)}",
        f"on {receipt.images} {receipt.split} images of {receipt.track}, {receipt.created}, "
        f"oraclezoo {receipt.oraclezoo}, {receipt.hardware['device']}",
    ]
    for name, before, after, comment in rows:
        cells = (name.ljust(widths[0]), before.rjust(widths[1]), after.rjust(widths[2]))
        lines += _with_comment(f"  {'  '.join(cells)}   ", comment, columns)
    lines += [f"  note: {note}" for note in receipt.notes]
    return wrapped("\n".join(lines))


def verdict(receipt: Receipt) -> tuple[str, str]:
    """Return what the step did to accuracy, and to size and speed, in one line each."""
    before, after, change = receipt.before.accuracy, receipt.after.accuracy, receipt.accuracy
    low, high = (100 * bound for bound in change.ci95)
    if change.lost == change.gained == 0:
        effect = f"no prediction changed on {receipt.images:,} images"
    else:
        effect = "not significant" if low <= 0 <= high else "worse" if high < 0 else "better"
        effect += f" (95%: {low:+.2f} to {high:+.2f} points)"
    accuracy = f"{receipt.step}: accuracy {100 * before:.1f}% -> {100 * after:.1f}%, {effect}"
    parts = [_times(receipt.ratios.size_bytes, "smaller", "larger") or "same size on disk"]
    if receipt.speedups:
        first = receipt.speedups[0]
        speed = _times(first.speedup, "faster", "slower") or "same speed"
        parts.append(f"{speed} in {first.runtime} (batch {first.batch_size})")
    else:
        parts.append("speed not measured")
    return accuracy, f"{' ' * len(receipt.step)}  {', '.join(parts)}"


def _times(ratio: float | None, above: str, below: str) -> str:
    """Return e.g. ``2.50x faster`` or ``1.20x slower``; "" if the ratio is about 1 or unknown."""
    if ratio is None or abs(ratio - 1) < 5e-3:
        return ""
    return f"{ratio:.2f}x {above}" if ratio > 1 else f"{1 / ratio:.2f}x {below}"


def _with_comment(cells: str, comment: str, columns: int | None) -> list[str]:
    """Return a row with its comment, wrapped if the terminal has too few columns."""
    if columns is None or len(cells) + len(comment) <= columns:
        return [f"{cells}{comment}".rstrip()]
    import textwrap

    if columns - len(cells) >= 30:
        first, *others = textwrap.wrap(comment, columns - len(cells))
        return [cells + first, *(" " * len(cells) + line for line in others)]
    return [cells.rstrip(), *(f"      {line}" for line in textwrap.wrap(comment, columns - 6))]


def _rows(receipt: Receipt) -> Iterator[Row]:
    before, after, change = receipt.before, receipt.after, receipt.accuracy
    low, high = (100 * bound for bound in change.ci95)
    yield "", "before", "after", ""
    yield "form", _form(before), _form(after), ""
    yield (
        "accuracy",
        f"{100 * before.accuracy:.1f}%",
        f"{100 * after.accuracy:.1f}%",
        f"{100 * change.difference:+.2f} points (95%, paired over {change.over}: "
        f"{low:+.2f} to {high:+.2f}; one-sided limit of the drop {100 * change.loss_limit95:.2f}); "
        f"{change.lost} predictions lost, {change.gained} gained",
    )
    agreement = f"{100 * receipt.parity.agreement:.1f}%"
    difference = f"largest probability difference {receipt.parity.largest_difference:.1e}"
    yield "agreement", "", agreement, difference
    for key, name, smaller in (
        ("parameters", "parameters", "fewer"),
        ("macs", "multiply-accumulates", "fewer"),
        ("size_bytes", "bytes on disk", "smaller"),
    ):
        counts = [f"{getattr(side, key):,}" for side in (before, after)]
        yield name, counts[0], counts[1], _less(getattr(receipt.ratios, key), smaller)
    yield from _latencies(receipt)
    yield from _by_runtime(before, after)


def _by_runtime(before: Metrics, after: Metrics) -> Iterator[Row]:
    """Yield memory and compilation time of each runtime."""
    for key, name, scale, unit, comment in (
        ("peak_memory_bytes", "peak memory", 1e-6, "MB", "of the whole process"),
        ("peak_device_memory_bytes", "device memory", 1e-6, "MB", "peak of tensors"),
        ("compile_s", "compilation", 1, "s", "for all settings; less with a warm cache"),
    ):
        sides = [getattr(side, key) for side in (before, after)]
        for runtime in {**sides[0], **sides[1]}:
            cells = [
                f"{scale * side[runtime]:.3g} {unit}" if runtime in side else "" for side in sides
            ]
            yield f"{name}, {runtime}", cells[0], cells[1], comment


def _latencies(receipt: Receipt) -> Iterator[Row]:
    times: dict[tuple[str, int, int], list[str]] = {}
    for column, side in enumerate((receipt.before, receipt.after)):
        for row in side.latency:
            cells = times.setdefault(_setting(row), ["", ""])
            cells[column] = f"{row.p50_ms:.3g} / {row.p95_ms:.3g} ms"
    speedups = {_setting(row): row for row in reversed(receipt.speedups)}
    for (runtime, batch_size, threads), cells in times.items():
        words = f"p50 / p95, batch {batch_size}, threads {threads}"
        speedup = speedups.get((runtime, batch_size, threads))
        if speedup is not None:
            across = "" if speedup.from_runtime == runtime else f" of {speedup.from_runtime}"
            words += (
                f": {speedup.speedup:.2f}x the speed{across} "
                f"({speedup.low:.2f} to {speedup.high:.2f})"
            )
        yield runtime, cells[0], cells[1], words


def _setting(row: LatencyRow | Speedup) -> tuple[str, int, int]:
    return row.runtime, row.batch_size, row.threads


def _options(options: Document) -> str:
    short = {
        key: f"{value:.3g}" if isinstance(value, float) else value
        for key, value in options.items()
        if isinstance(value, (str, int, float)) and value != "" and key != "sha256"
    }
    words = ", ".join(f"{key} {value}" for key, value in short.items())
    return f" ({words})" if words else ""


def _form(side: Metrics) -> str:
    return f"{side.form} {side.precision}"


def _less(ratio: float | None, word: str) -> str:
    if ratio is None or abs(ratio - 1) < 5e-3:
        return ""
    return f"{ratio:.2f}x {word}" if ratio > 1 else f"{1 / ratio:.2f}x more"
