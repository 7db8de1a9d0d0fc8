"""Progress on stderr: a bar on a terminal, otherwise plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from oraclezoo.cli._shared.app import console_err, say
from oraclezoo.signals import detach, handling

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from oraclezoo.benching.progress import Progress
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

    def __init__(self, title: str, total: int, bar: RichProgress) -> None:
        super().__init__(title, total)
        self._shown = bar
        self._task = bar.add_task(title, total=total, text="")

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
    ) as bar:
        yield Bar(title, total, bar)


def epoch_text(epoch: Epoch) -> str:
    """Format the metrics of an epoch."""
    text = f"loss {epoch.train_loss:.3f}"
    if epoch.validation_accuracy is not None:
        text += f", validation {100 * epoch.validation_accuracy:.1f}%"
    return f"{text}, {epoch.images_per_s:,.0f} images/s"


@contextmanager
def stop_on_interrupt(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C, SIGTERM or SIGHUP asked the command to stop.

    A second signal interrupts the command.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        detach(number)
        if received:
            raise KeyboardInterrupt
        received.append(number)
        say("stopping after this step (press Ctrl-C again to stop now)")

    with handling(note):
        yield lambda: bool(received)


def bench_reporter(lines: Lines) -> Callable[[Progress], None]:
    """Return a callback that reports benchmark events as progress and messages."""
    from oraclezoo.artifacts.record import Scores
    from oraclezoo.engine.records import Epoch
    from oraclezoo.jobs import Failed, Message

    def report(state: Progress) -> None:
        job = state.recipe if state.seed is None else f"{state.recipe} seed {state.seed}"
        text = state.event
        match state.detail:
            case Scores(accuracy):
                note = " (reused: same recipe, data and code)" if state.event == "kept" else ""
                lines.say(f"{job}: test {100 * accuracy:.1f}%{note}")
            case Failed(reason, message):
                failure = f"failed ({reason}): {message}"
                lines.say(f"{job}: {failure}; its output is in journal.jsonl of the runs folder")
            case Message(words):
                lines.say(f"{job}: {words}")
            case Epoch():
                text = epoch_text(state.detail)
        if state.event == "message":
            return
        lines.total = state.total
        lines.update(state.done, f"{job} {text}")

    return report
