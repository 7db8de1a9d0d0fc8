"""Render a leaderboard as Markdown, HTML, CSV or JSON, or for the terminal.

Names and messages in results are untrusted; every format escapes them.
"""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from oraclezoo.ranking import terminal
from oraclezoo.ranking.comparison import MIN_COMMON_SEEDS
from oraclezoo.ranking.rows import Row, Rows
from oraclezoo.ranking.text import NONE, ranges, short

if TYPE_CHECKING:
    import rich.table

Cell = tuple[str, ...]
"""Lines of text in a cell."""


def title(table: Rows) -> str:
    """Return the title: track, division, and a note if the data are synthetic."""
    data = f", data {table.data}" if table.data else ""
    mark = " · SYNTHETIC data: generated characters, not real ones" if table.synthetic else ""
    return f"Leaderboard: {table.track}, {table.division} division{data}{mark}"


def caption(table: Rows, *, robust: bool = False) -> list[str]:
    """Return notes that define the figures, one string per note."""
    classes = sorted({row.hardware_class for row in table.rows})
    hardware = f"hardware class {classes[0]}"
    if len(classes) > 1:
        hardware = "times are comparable within one hardware class only; this table has several"
    lines = [
        f"Test accuracy: mean over seeds on {table.test:,} test images; [95% interval] over images "
        "and seeds: Wilson's, with SE² = var_images/n + var_seeds/S and Satterthwaite's degrees of "
        "freedom; SD: sample standard deviation over seeds. A single seed gives no interval.",
        "Rank: 1 + the number of significantly better rows, paired by image and seed, Holm-"
        "corrected at 5% over the row's comparisons. Two rows are compared if they share five or "
        f"more seeds; a row without comparisons has no rank ({NONE}). Ties: the # of each compared "
        "row without a significant difference; a tie does not mean equality and is not transitive.",
        "Size: parameters, multiply-accumulates (MACs) per image, and bytes of the saved weights "
        "or, for a compressed model, of its ONNX file. "
        "Times: training is the median over seeds (range), including compilation; latency is the "
        "p50 (p95) of one image on the fewest threads measured, comparable within one runtime, "
        f"precision and device only; {hardware}.",
    ]
    if table.recipes_scored is not None:
        lines.append(
            f"Ledger: {table.recipes_scored} distinct recipes have been scored on this test split; "
            "the best of many looks better than it is."
        )
    if any(1 < row.seeds < MIN_COMMON_SEEDS for row in table.rows):
        lines.append(
            f"Fewer than {MIN_COMMON_SEEDS} seeds: such an interval is rough, because the variance "
            "over seeds is hardly known."
        )
    if any(row.refit for row in table.rows):
        lines.append("Refit: trained on the training and validation images.")
    if any(row.seeds and row.train_s is None for row in table.rows):
        lines.append(f"No times ({NONE}): seeds were trained concurrently (bench --accuracy-only).")
    if any(row.replicates for row in table.rows):
        lines.append("Replicates: further results of the same recipe, merged into its row.")
    if any(row.reproductions or row.reproductions_differing for row in table.rows):
        lines.append(
            "Reproduced N×: oraclezoo reproduce gave the same result, or one within its spread, in "
            "N environments (hardware class and library versions)."
        )
    if robust:
        versions = sorted({row.corruptions_version for row in table.rows} - {""})
        lines.append(
            "Calibration: expected calibration error over 15 bins of equal width (equal mass) and "
            "mean negative log-likelihood, from the stored probabilities. Corrupted: mean accuracy "
            "over all corruptions, five severities and seeds (bench --robust), comparable within "
            f"one version of the corruptions only ({', '.join(versions) or NONE})."
        )
    return lines


def columns(table: Rows, *, robust: bool = False) -> list[tuple[str, Callable[[Row], Cell]]]:
    """Return the header and cell function of each column."""
    selected: list[tuple[str, Callable[[Row], Cell]]] = [
        ("#", lambda row: (str(row.number),)),
        ("Rank", lambda row: (NONE if row.rank is None else str(row.rank),)),
        ("Ties", lambda row: (ranges(row.ties_with) if row.compared_with else NONE,)),
        ("Recipe", _recipe),
        ("Components", _components),
        ("Test accuracy, %", _accuracy),
        ("Size", _size),
        ("Times", _times),
    ]
    if robust:
        selected += [("Calibration", _calibration), ("Corrupted, %", _corrupted)]
    if len({row.hardware_class for row in table.rows}) > 1:
        selected.append(("Hardware class", lambda row: (row.hardware_class,)))
    return selected


def markdown(table: Rows, *, robust: bool = False) -> str:
    """Return the table as GitHub-Flavored Markdown."""
    table_columns = columns(table, robust=robust)
    lines = [f"**{_markdown(title(table))}**", ""]
    lines.append("| " + " | ".join(name for name, _ in table_columns) + " |")
    lines.append("|" + " --- |" * len(table_columns))
    for row in table.rows:
        cells = (_markdown(_line(cell(row))) for _, cell in table_columns)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"{_markdown(line)}  " for line in caption(table, robust=robust))]
    return "\n".join(lines).rstrip() + "\n"


def rich_table(
    table: Rows, *, more: Collection[str] = (), explain: bool = False
) -> rich.table.Table:
    """Return the table as a rich table; for arguments see ``Table.to_rich``."""
    end = caption(table, robust="robust" in more) if explain else [terminal.closing(table)]
    notes = [*terminal.legend(table), *end]
    return terminal.rich_table(table, notes, title=title(table), more=more)


def html_text(table: Rows) -> str:
    """Return the table as HTML, for notebooks."""
    table_columns = columns(table)
    head = "".join(f"<th>{html.escape(name)}</th>" for name, _ in table_columns)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{'<br>'.join(html.escape(line) for line in cell(row))}</td>"
            for _, cell in table_columns
        )
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<p><small>{html.escape(line)}</small></p>" for line in caption(table))
    return (
        f"<table><caption>{html.escape(title(table))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"
    )


def csv_text(table: Rows, *, header: bool) -> str:
    """Return all fields as CSV; each setting of a latency measurement is a separate column."""
    rows = [{"track": table.track, "division": table.division, **_flat(row)} for row in table.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_dict(table: Rows) -> dict[str, Any]:
    """Return all fields, the title and the caption as a JSON document."""
    document: dict[str, Any] = {"title": title(table), "caption": caption(table)}
    document |= dataclasses.asdict(table)
    document["rows"] = [
        {**row, **{name: list(row[name]) for name in ("ties_with", "beaten_by")}}
        for row in document["rows"]
    ]
    return document


def _recipe(row: Row) -> Cell:
    return (row.label, row.hash12, *row.marks)


def _components(row: Row) -> Cell:
    """Return backbone, optimizer and scheduler, followed by the plugins that provide them."""
    names = (short(row.backbone), short(row.optimizer), short(row.scheduler))
    return (*names, f"({row.plugins})") if row.plugins else names


def _accuracy(row: Row) -> Cell:
    failed = (f"failed: {row.failed}",) if row.failures else ()
    if row.accuracy_percent is None:
        return failed
    seeds = f"{row.seeds} seed{'s' * (row.seeds > 1)}"
    if 1 < row.seeds < MIN_COMMON_SEEDS:
        seeds += f" (fewer than {MIN_COMMON_SEEDS}: rough interval)"
    if row.ci95_low_percent is None or row.seed_std_points is None:
        return (f"{row.accuracy_percent:.2f}", f"no interval: {seeds}", *failed)
    return (
        f"{row.accuracy_percent:.2f}",
        f"[{row.ci95_low_percent:.2f}, {row.ci95_high_percent:.2f}]",
        f"SD {row.seed_std_points:.2f}, {seeds}",
        *failed,
    )


def _size(row: Row) -> Cell:
    if row.parameters is None or row.macs is None or row.size_bytes is None:
        return (NONE,)
    return (
        f"{row.parameters / 1e6:.2f} M params",
        f"{row.macs / 1e6:.2f} M MACs",
        f"{row.size_bytes / 1e6:.2f} MB",
    )


def _times(row: Row) -> Cell:
    lines = []
    if row.train_s is not None:
        lines.append(f"training {row.train_s:.1f} s")
        if row.seeds > 1:
            lines.append(f"({row.train_min_s:.1f} to {row.train_max_s:.1f})")
    if row.latency is not None:
        latency = row.latency
        threads = f"{latency.threads} thread{'s' * (latency.threads > 1)}"
        lines += [f"latency {latency.p50_ms:.2f} ms", f"({latency.p95_ms:.2f})"]
        lines += [f"{latency.runtime} {latency.precision}", f"{latency.device}, {threads}"]
    return tuple(lines) or (NONE,)


def _calibration(row: Row) -> Cell:
    if row.ece_percent is None or row.ece_equal_mass_percent is None:
        return (NONE,)
    return (
        f"ECE {row.ece_percent:.2f}%",
        f"({row.ece_equal_mass_percent:.2f}%)",
        f"NLL {row.nll_nats:.3f} nats",
    )


def _corrupted(row: Row) -> Cell:
    if row.corrupted_percent is None:
        return (NONE,)
    if row.accuracy_percent is None:
        return (f"{row.corrupted_percent:.2f}",)
    change = row.corrupted_percent - row.accuracy_percent
    return (f"{row.corrupted_percent:.2f}", f"({change:+.2f} points)")


def _flat(row: Row) -> dict[str, Any]:
    flat = dataclasses.asdict(row)
    latency = flat.pop("latency")
    for key in ("runtime", "precision", "device", "threads", "p50_ms", "p95_ms", "p99_ms"):
        flat[f"latency_{key}"] = None if latency is None else latency[key]
    for name in ("ties_with", "beaten_by"):
        flat[name] = ranges(flat[name]) if row.compared_with else ""
    return {key: _csv(value) for key, value in flat.items()}


def _csv(value: Any) -> Any:
    """Quote text that a spreadsheet would evaluate as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _line(cell: Cell) -> str:
    """Join the lines of a cell with commas, but without a comma before a parenthesized line."""
    return "".join(
        part if not index else f" {part}" if part[0] in "([" else f", {part}"
        for index, part in enumerate(cell)
    )


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*|<>]|(?<=\])\()", r"\\\1", text)
