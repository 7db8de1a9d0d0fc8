"""Render: a table as Markdown, HTML, CSV, JSON, or for a terminal.

Names and messages in results come from strangers: each form escapes them in its own way.
"""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from oraclezoo.ranking.rows import Row, Rows
from oraclezoo.ranking.text import NONE, ranges, short

if TYPE_CHECKING:
    import rich.table

Cell = tuple[str, ...]
"""The lines of a cell."""


def title(table: Rows) -> str:
    """Track, division and, in capitals, that generated data are not real."""
    data = f", data {table.data}" if table.data else ""
    mark = " · SYNTHETIC data: generated characters, not real ones" if table.synthetic else ""
    return f"Leaderboard: {table.track}, {table.division} division{data}{mark}"


def caption(table: Rows, *, robust: bool = False) -> list[str]:
    """What the figures are, in sentences."""
    classes = sorted({row.hardware_class for row in table.rows})
    hardware = f"hardware class {classes[0]}"
    if len(classes) > 1:
        hardware = "times compare within one hardware class only, and here are several"
    lines = [
        f"Test accuracy: mean over seeds on {table.test:,} test images; [95% interval] over images "
        "and seeds, SE² = var_images/n + var_seeds/S with Satterthwaite's degrees of freedom; SD: "
        "sample standard deviation over seeds. One seed gives no interval.",
        "Rank: 1 + the number of rows significantly better, paired by image and seed, Holm at 5% "
        "over the row's own comparisons. Two rows are compared on five or more common seeds; a row "
        f"compared with none has no rank ({NONE}). Ties: the # of each row compared and not "
        "separated; that is not being equal, and it is not transitive.",
        "Size: parameters, multiply-accumulates (MACs) of one image, bytes of the saved weights "
        "or, of a compressed net, of its ONNX file. "
        "Times: training is the median over seeds (range), compilation included; latency the p50 "
        "(p95) of one image, on the fewest threads measured, to be compared within one runtime, "
        f"precision and device only; {hardware}.",
    ]
    if table.recipes_scored is not None:
        lines.append(
            f"Ledger: {table.recipes_scored} distinct recipes have been scored on this test split "
            "here; the best of many looks better than it is."
        )
    if any(row.refit for row in table.rows):
        lines.append("Refit: trained on training and validation images together.")
    if any(row.seeds and row.train_s is None for row in table.rows):
        lines.append(
            f"No times ({NONE}): seeds trained at once (bench --accuracy-only), which takes none."
        )
    if any(row.replicates for row in table.rows):
        lines.append("Replicates: further results of the same recipe, merged into its row.")
    if any(row.reproductions or row.reproductions_differing for row in table.rows):
        lines.append(
            "Reproduced: run again from its recipe (oraclezoo reproduce) in so many environments, "
            "that is hardware classes and sets of library versions; the same or within its spread."
        )
    if robust:
        versions = sorted({row.corruptions_version for row in table.rows} - {""})
        lines.append(
            "Calibration: expected calibration error over 15 bins of equal width (of equally many "
            "images), and mean negative log-likelihood, from the stored probabilities. Corrupted: "
            "mean accuracy over all corruptions, five severities and seeds (bench --robust), "
            f"compared within one version of the corruptions only ({', '.join(versions) or NONE})."
        )
    return lines


def columns(table: Rows, *, robust: bool = False) -> list[tuple[str, Callable[[Row], Cell]]]:
    """Header and cell of each column to show."""
    shown: list[tuple[str, Callable[[Row], Cell]]] = [
        ("#", lambda row: (str(row.number),)),
        ("Rank", lambda row: (NONE if row.rank is None else str(row.rank),)),
        ("Ties", lambda row: (ranges(row.ties_with) if row.compared_with else NONE,)),
        ("Recipe", _recipe),
        ("Parts", _parts),
        ("Test accuracy, %", _accuracy),
        ("Size", _size),
        ("Times", _times),
    ]
    if robust:
        shown += [("Calibration", _calibration), ("Corrupted, %", _corrupted)]
    if len({row.hardware_class for row in table.rows}) > 1:
        shown.append(("Hardware class", lambda row: (row.hardware_class,)))
    return shown


def markdown(table: Rows, *, robust: bool = False) -> str:
    """GitHub-flavoured Markdown."""
    shown = columns(table, robust=robust)
    lines = [f"**{_markdown(title(table))}**", ""]
    lines.append("| " + " | ".join(name for name, _ in shown) + " |")
    lines.append("|" + " --- |" * len(shown))
    for row in table.rows:
        cells = (_markdown(_line(cell(row))) for _, cell in shown)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"{_markdown(line)}  " for line in caption(table, robust=robust))]
    return "\n".join(lines).rstrip() + "\n"


def rich_table(table: Rows, *, robust: bool = False) -> rich.table.Table:
    """For a terminal; nothing in it is read as markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(
        title=Text(title(table), style="bold"),
        caption=Text("\n".join(caption(table, robust=robust))),
        caption_justify="left",
        box=SIMPLE_HEAD,
        show_lines=True,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    shown = columns(table, robust=robust)
    for name, _ in shown:
        made.add_column(name, overflow="fold", min_width=len(name.split()[0]))
    for row in table.rows:
        made.add_row(*(Text("\n".join(cell(row))) for _, cell in shown))
    return made


def html_text(table: Rows) -> str:
    """An HTML table, for notebooks."""
    shown = columns(table)
    head = "".join(f"<th>{html.escape(name)}</th>" for name, _ in shown)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{'<br>'.join(html.escape(line) for line in cell(row))}</td>" for _, cell in shown
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
    """Every field; the setting of a latency in columns of its own."""
    rows = [{"track": table.track, "division": table.division, **_flat(row)} for row in table.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_dict(table: Rows) -> dict[str, Any]:
    """Every field, with title and caption."""
    document: dict[str, Any] = {"title": title(table), "caption": caption(table)}
    document |= dataclasses.asdict(table)
    document["rows"] = [
        {**row, **{name: list(row[name]) for name in ("ties_with", "beaten_by")}}
        for row in document["rows"]
    ]
    return document


def _recipe(row: Row) -> Cell:
    marks = ["refit"] if row.refit else []
    if row.replicates:
        marks.append(f"{row.replicates} replicate{'s' * (row.replicates > 1)}")
    if row.reproductions:
        marks.append(f"reproduced {row.reproductions}×")
    if row.reproductions_differing:
        marks.append(f"came out otherwise {row.reproductions_differing}×")
    return (row.label, row.hash12, *marks)


def _parts(row: Row) -> Cell:
    """Backbone, optimizer, scheduler; then the plugins behind them, with their versions."""
    names = (short(row.backbone), short(row.optimizer), short(row.scheduler))
    return (*names, f"({row.plugins})") if row.plugins else names


def _accuracy(row: Row) -> Cell:
    failed = (f"failed: {row.failed}",) if row.failures else ()
    if row.accuracy_percent is None:
        return failed
    seeds = f"{row.seeds} seed{'s' * (row.seeds > 1)}"
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
        found = row.latency
        threads = f"{found.threads} thread{'s' * (found.threads > 1)}"
        lines += [f"latency {found.p50_ms:.2f} ms", f"({found.p95_ms:.2f})"]
        lines += [f"{found.runtime} {found.precision}", f"{found.device}, {threads}"]
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
    lost = row.corrupted_percent - row.accuracy_percent
    return (f"{row.corrupted_percent:.2f}", f"({lost:+.2f} points)")


def _flat(row: Row) -> dict[str, Any]:
    flat = dataclasses.asdict(row)
    latency = flat.pop("latency")
    for key in ("runtime", "precision", "device", "threads", "p50_ms", "p95_ms", "p99_ms"):
        flat[f"latency_{key}"] = None if latency is None else latency[key]
    for name in ("ties_with", "beaten_by"):
        flat[name] = ranges(flat[name]) if row.compared_with else ""
    return {key: _csv(value) for key, value in flat.items()}


def _csv(value: Any) -> Any:
    """A spreadsheet runs a cell that begins like a formula: such text gets a quote in front."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _line(cell: Cell) -> str:
    """The lines of a cell in one; what is in brackets belongs to what is before it."""
    return "".join(
        part if not index else f" {part}" if part[0] in "([" else f", {part}"
        for index, part in enumerate(cell)
    )


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*|<>]|(?<=\])\()", r"\\\1", text)
