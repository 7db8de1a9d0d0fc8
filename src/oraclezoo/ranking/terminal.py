"""Leaderboard tables for the terminal: one line per row at 80 columns, more on request."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from oraclezoo.ranking.comparison import MIN_COMMON_SEEDS
from oraclezoo.ranking.rows import Row, Rows
from oraclezoo.ranking.text import NONE, ranges, short

if TYPE_CHECKING:
    import rich.table

GROUPS = ("components", "cost", "ties", "robust")
"""Groups of columns on request."""
REFIT = "†"
LEFT = ("Recipe", "Components", "Ties", "Accuracy, % [95%]", "Hardware class", "Latency of")
WIDEST = 34
"""Width up to which recipes are not folded, unless there are columns on request."""
SHORT = 60
"""Length up to which a note stays on one line."""

Shown = tuple[str, Callable[[Row], str]]


def rich_table(
    table: Rows, notes: Collection[str], *, title: str, more: Collection[str] = ()
) -> rich.table.Table:
    """Return a rich table; markup in cells is not interpreted.

    Args:
        table: The rows.
        notes: Text below the table, one string per note.
        title: Text above the table.
        more: Groups of columns to add, of :data:`GROUPS`.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    rendered = RichTable(
        title=Text(title, style="bold"),
        title_justify="left",
        caption=Text("\n".join(notes)),
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        # Rich wraps the caption at the width of the table, amid a command if that is narrow
        min_width=max((len(note) for note in notes if len(note) <= SHORT), default=None),
    )
    several = len({row.hardware_class for row in table.rows}) > 1
    shown = _columns(more, several)
    for name, cell in shown:
        longest = max(len(line) for line in (*name.split("\n"), *map(cell, table.rows)))
        rendered.add_column(
            name,
            justify="left" if name in LEFT else "right",
            overflow="fold",
            min_width=None if more else min(longest, WIDEST),
        )
    for row in table.rows:
        rendered.add_row(*(Text(cell(row)) for _, cell in shown))
    return rendered


def legend(table: Rows) -> list[str]:
    """Return what a reader must know even without the definitions, one string per note."""
    notes = []
    if any(row.refit for row in table.rows):
        notes.append(f"{REFIT} refit: trained on the training and validation images")
    if any(1 < row.seeds < MIN_COMMON_SEEDS for row in table.rows):
        notes.append(f"fewer than {MIN_COMMON_SEEDS} seeds: the interval is rough")
    classes = len({row.hardware_class for row in table.rows})
    if classes > 1:
        notes.append(f"latency comes from {classes} hardware classes; compare it within one")
    return notes


def closing(table: Rows) -> str:
    """Return the last line: the number of rows, and where the figures are defined."""
    count = f"{len(table.rows)} row{'s' * (len(table.rows) != 1)}"
    return f"{count}; definitions: oraclezoo leaderboard --explain"


def _columns(more: Collection[str], several: bool) -> list[Shown]:
    shown: list[Shown] = [
        ("Rank", lambda row: NONE if row.rank is None else str(row.rank)),
        ("Recipe", lambda row: row.label + (f" {REFIT}" if row.refit else "")),
        ("Accuracy, % [95%]", _accuracy),
        ("Latency,\nms", lambda row: NONE if row.latency is None else f"{row.latency.p50_ms:.2f}"),
        ("Size,\nMB", lambda row: _scaled(row.size_bytes, 1e6)),
    ]
    if "components" in more:
        shown.append(("Components", _components))
    if "ties" in more:
        shown.insert(0, ("#", lambda row: str(row.number)))
        shown.append(("Ties", lambda row: ranges(row.ties_with) if row.compared_with else NONE))
    if "cost" in more:
        shown += [
            ("Params,\nM", lambda row: _scaled(row.parameters, 1e6)),
            ("MACs,\nM", lambda row: _scaled(row.macs, 1e6)),
            ("Training,\ns", lambda row: NONE if row.train_s is None else f"{row.train_s:.1f}"),
            ("Latency of", _setting),
        ]
        if several:
            shown.append(("Hardware class", lambda row: row.hardware_class))
    if "robust" in more:
        shown += [
            ("ECE,\n%", lambda row: _scaled(row.ece_percent)),
            ("NLL,\nnats", lambda row: NONE if row.nll_nats is None else f"{row.nll_nats:.3f}"),
            ("Corrupted,\n%", lambda row: _scaled(row.corrupted_percent)),
        ]
    return shown


def _accuracy(row: Row) -> str:
    failed = f"failed: {row.failed}" if row.failures else ""
    if row.accuracy_percent is None:
        return failed
    if row.ci95_low_percent is None:
        interval = f"{row.seeds} seed{'s' * (row.seeds > 1)}"
    else:
        interval = f"[{row.ci95_low_percent:.1f}, {row.ci95_high_percent:.1f}]"
    return f"{row.accuracy_percent:.2f} {interval} {failed}".rstrip()


def _components(row: Row) -> str:
    """Return backbone, optimizer and scheduler, followed by the plugins that provide them."""
    names = ", ".join((short(row.backbone), short(row.optimizer), short(row.scheduler)))
    return f"{names} ({row.plugins})" if row.plugins else names


def _setting(row: Row) -> str:
    latency = row.latency
    if latency is None:
        return NONE
    threads = f"{latency.threads} thread{'s' * (latency.threads > 1)}"
    return f"{latency.runtime} {latency.precision}, {threads}"


def _scaled(value: float | None, unit: float = 1.0) -> str:
    return NONE if value is None else f"{value / unit:.2f}"
