"""Progress on stderr: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from oraclezoo.cli._shared.app import console_err, say

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from oraclezoo.benching.recipe import Progress
    from oraclezoo.engine.records import Epoch

QUIET_S = 10.0
"""Minimum seconds between plain progress lines."""


class Lines:
    """Progress in plain lines, for logs and pipes."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self._last = -QUIET_S

    def say(self, text: str) -> None:
        """Print a message."""
        say(text)

    def update(self, done: float, text: str) -> None:
        """Print progress occasionally and at the end."""
        if done >= self.total or time.monotonic() - self._last >= QUIET_S:
            self._last = time.monotonic()
            self.say(f"{self.title} {done:.3g}/{self.total} {text}")


class Bar(Lines):
    """Progress bar below scrolling messages."""

    def __init__(self, title: str, total: int, shown: RichProgress) -> None:
        super().__init__(title, total)
        self._shown = shown
        self._task = shown.add_task(title, total=total, text="")

    def say(self, text: str) -> None:
        """Print a message above the bar."""
        self._shown.console.print(text, markup=False, highlight=False)

    def update(self, done: float, text: str) -> None:
        """Update the bar."""
        self._shown.update(self._task, total=self.total, completed=done, text=text)


@contextmanager
def progress(title: str, total: int) -> Iterator[Lines]:
    """Yield a progress reporter for ``total`` steps."""
    if not sys.stderr.isatty():
        yield Lines(title, total)
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    with RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        console=console_err(),
    ) as shown:
        yield Bar(title, total, shown)


def epoch_text(epoch: Epoch | dict[str, Any]) -> str:
    """Format the metrics of an epoch."""
    row = epoch if isinstance(epoch, dict) else vars(epoch)
    text = f"loss {row['train_loss']:.3f}"
    if row["validation_accuracy"] is not None:
        text += f", validation {100 * row['validation_accuracy']:.1f}%"
    return f"{text}, {row['images_per_s']:,.0f} images/s"


@contextmanager
def stop_on_interrupt(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed; a second press interrupts."""
    presses: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if presses:
            raise KeyboardInterrupt
        presses.append(number)
        say("stopping after this step (press Ctrl-C again to stop now)")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(presses)
    finally:
        signal.signal(signal.SIGINT, before)


def bench_reporter(lines: Lines) -> Callable[[Progress], None]:
    """Return a callback that turns benchmark events into progress and messages."""

    def report(state: Progress) -> None:
        who = state.recipe if state.seed is None else f"{state.recipe} seed {state.seed}"
        if state.event in ("kept", "done"):
            how = f" (reused: {state.fields['reason']})" if state.event == "kept" else ""
            lines.say(f"{who}: test {100 * state.fields['accuracy']:.1f}%{how}")
        elif state.event == "failed":
            why = f"failed ({state.fields['reason']}): {state.fields['message']}"
            lines.say(f"{who}: {why}; its output is in journal.jsonl of the runs folder")
        elif state.event in ("apart", "message"):
            lines.say(f"{who}: {state.fields['message']}")
        if state.event == "message":
            return
        text = epoch_text(state.fields) if state.event == "epoch" else state.event
        lines.total = state.total
        lines.update(state.done, f"{who} {text}")

    return report
