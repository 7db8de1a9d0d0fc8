"""Progress of a long job: a bar in a terminal or notebook, plain lines elsewhere.

The bar appears with the first update, so that an error in the inputs is all that a user sees, and
disappears when the job ends or fails.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

QUIET_S = 10.0
"""Minimum seconds between plain progress lines."""

REFRESH_PER_S = 2
"""Redraws of a bar per second; each one takes time from the job, about a millisecond."""

GAP = "  "

T = TypeVar("T")


class Estimate:
    """Remaining time, from the mean speed since the first update.

    The mean over the whole job is stable even if single steps take minutes.

    Args:
        clock: Function that returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start: tuple[float, float] | None = None
        self._done, self._skipped = 0.0, 0.0
        self._ends: float | None = None

    def update(self, done: float, total: float, *, worked: bool = True) -> None:
        """Record progress.

        Args:
            done: Amount of finished work.
            total: Amount of all work.
            worked: False if the work since the last update took no time, such as a reused result.
        """
        now = self._clock()
        if self._start is None:
            self._start, self._done = (now, done), done
            return
        if not worked:
            self._skipped += done - self._done
        self._done = done
        started, first = self._start
        finished = done - first - self._skipped
        if not total:
            self._ends = None
        elif finished > 0 and now > started:
            self._ends = now + (total - done) * (now - started) / finished

    @property
    def remaining_s(self) -> float | None:
        """Estimated seconds to the end; None before the second update."""
        return None if self._ends is None else max(0.0, self._ends - self._clock())

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first update."""
        return 0.0 if self._start is None else self._clock() - self._start[0]


def duration(seconds: float | None) -> str:
    """Format seconds as ``m:ss`` or ``h:mm:ss``; None as ``-:--``."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def fitting(text: str, width: int) -> str:
    """Return the leading comma-separated parts of ``text`` that fit into ``width`` columns."""
    parts = text.split(", ")
    while len(parts) > 1 and len(", ".join(parts)) > width:
        parts.pop()
    kept = ", ".join(parts)
    return kept if len(kept) <= width else kept[: max(0, width - 1)] + "…" * (width > 0)


class Lines:
    """Progress in plain lines, for logs and pipes.

    Args:
        title: Name of the job.
        total: Amount of work, in any unit; 0 if it is not known.
        write: Function that prints a line.
    """

    def __init__(self, title: str, total: float, write: Callable[[str], None]) -> None:
        self.title, self.total, self.write = title, total, write
        self.done, self.text = 0.0, ""
        self.estimate = Estimate(lambda: time.monotonic())
        self._last, self._printed = time.monotonic(), False

    def say(self, text: str) -> None:
        """Print a message."""
        self.write(text)

    def update(self, done: float, text: str = "", *, worked: bool = True) -> None:
        """Record progress, and print it at the start, every ten seconds and at the end.

        Args:
            done: Amount of finished work.
            text: Comma-separated metrics, the most important first; "" keeps the last text.
            worked: See :meth:`Estimate.update`.
        """
        self._record(done, text, worked)
        ended = bool(text) and 0 < self.total <= done
        due = not self._printed or time.monotonic() - self._last >= QUIET_S
        if self.text and (ended or due):
            self._last, self._printed = time.monotonic(), True
            left = self.estimate.remaining_s
            share = f"{100 * self.share:.0f}%, " if self.total else ""
            remaining = "" if left is None or ended else f"{duration(left)} left, "
            self.write(f"{self.title}: {share}{remaining}{self.text}")

    @property
    def share(self) -> float:
        """Completed fraction of the work, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def close(self) -> None:
        """End the display."""

    def _record(self, done: float, text: str, worked: bool) -> None:
        self.estimate.update(done, self.total, worked=worked)
        self.done, self.text = done, text or self.text


class Silent(Lines):
    """No progress and no messages."""

    def say(self, text: str) -> None:
        """Print nothing."""

    def update(self, done: float, text: str = "", *, worked: bool = True) -> None:
        """Print nothing."""


class Bar(Lines):
    """Progress bar on the last line of a terminal, below scrolling messages.

    Args:
        title: Name of the job.
        total: Amount of work, in any unit.
        console: Console of the terminal.
    """

    def __init__(self, title: str, total: float, console: Console) -> None:
        super().__init__(title, total, lambda text: None)
        self._console = console
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """Print a message above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def update(self, done: float, text: str = "", *, worked: bool = True) -> None:
        """Record progress; the first call shows the bar."""
        self._record(done, text, worked)
        if self._live is None:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._rendered,
                console=self._console,
                refresh_per_second=REFRESH_PER_S,
                transient=True,
            )
            self._live.start(refresh=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _rendered(self) -> Text:
        from rich.text import Text

        ascii_only = not self._console.encoding.startswith("utf")
        before, full, empty, after = self.layout(self._console.width - 1, ascii_only=ascii_only)
        return Text.assemble(
            before, (full, "green"), (empty, "bright_black"), after, no_wrap=True, overflow="crop"
        )

    def layout(self, width: int, *, ascii_only: bool = False) -> tuple[str, str, str, str]:
        """Return the line in four parts: title, full and empty part of the bar, figures and text.

        Args:
            width: Maximum number of columns.
            ascii_only: Whether to draw the bar in ASCII.
        """
        share = f"{100 * self.share:3.0f}%" if self.total else "  ?%"
        figures = f"{share}{GAP}{duration(self.estimate.remaining_s)} left"
        if width >= 100:
            figures += f"{GAP}{duration(self.estimate.elapsed_s)} elapsed"
        title = fitting(self.title, max(8, width // 3))
        rest = width - len(title) - len(figures) - 3 * len(GAP)
        columns = min(24, max(4, rest // 3))
        full = round(columns * self.share)
        text = fitting(self.text, rest - columns)
        marks = "#-" if ascii_only else "━━"
        return (
            title + GAP,
            marks[0] * full,
            marks[1] * (columns - full),
            f"{GAP}{figures}{GAP}{text}".rstrip(),
        )


class NotebookBar(Lines):
    """Progress bar below the cell of a notebook.

    Args:
        title: Name of the job.
        total: Amount of work, in any unit.
    """

    def __init__(self, title: str, total: float) -> None:
        super().__init__(title, total, print)
        self._module: Any = importlib.import_module("IPython.display")  # there in a notebook
        self._handle: Any = None
        self._drawn = 0.0

    def update(self, done: float, text: str = "", *, worked: bool = True) -> None:
        """Record progress and redraw the bar, at most a few times per second."""
        self._record(done, text, worked)
        now = time.monotonic()
        if now - self._drawn < 1 / REFRESH_PER_S:
            return
        self._drawn = now
        if self._handle is None:
            self._handle = self._module.display(self, display_id=True)
        else:
            self._handle.update(self)

    def close(self) -> None:
        """Remove the bar."""
        if self._handle is not None:
            self._handle.update(self._module.HTML(""))
            self._handle = None

    def __repr__(self) -> str:
        left = duration(self.estimate.remaining_s)
        return f"{self.title}: {100 * self.share:.0f}%, {left} left, {self.text}"

    def _repr_html_(self) -> str:
        import html

        left = duration(self.estimate.remaining_s)
        figures = f"{100 * self.share:.0f}% &nbsp; {left} left &nbsp; {html.escape(self.text)}"
        bar = f'<progress max="1" value="{self.share:.4f}"></progress>'
        return f"<div>{html.escape(self.title)} &nbsp; {bar} &nbsp; {figures}</div>"


class EpochMetrics(Protocol):
    """Metrics of a finished epoch."""

    @property
    def epoch(self) -> int:
        """Number of the epoch, from 1."""

    @property
    def text(self) -> str:
        """Comma-separated metrics, the most important first."""


class TrainingProgress:
    """Callbacks of a training run that update a display.

    Args:
        lines: The display.
        epochs: Number of epochs; None if it is not known.
    """

    def __init__(self, lines: Lines, epochs: int | None = None) -> None:
        self.lines = lines
        self._of = "" if epochs is None else f"/{epochs}"
        self._share, self._last, self._earlier = 0.0, 0, 0

    def on_step(self, share: float) -> None:
        """Show the completed fraction of the training.

        Args:
            share: The fraction, from 0 to 1.
        """
        self._share = share
        self.lines.update(share * self.lines.total, "" if self._last else f"epoch 1{self._of}")

    def on_epoch(self, epoch: EpochMetrics) -> None:
        """Show the metrics of an epoch; epochs of consecutive trainings are counted together.

        Args:
            epoch: The metrics.
        """
        if epoch.epoch <= self._last:
            self._earlier += self._last
        self._last = epoch.epoch
        number = self._earlier + epoch.epoch
        self.lines.update(self._share * self.lines.total, f"epoch {number}{self._of}, {epoch.text}")


def both(first: Callable[[T], None] | None, second: Callable[[T], None]) -> Callable[[T], None]:
    """Return a function that calls ``first``, if it is not None, then ``second``."""
    if first is None:
        return second

    def call(value: T) -> None:
        first(value)
        second(value)

    return call


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def is_interactive() -> bool:
    """Return whether standard error is a terminal, or this process is the kernel of a notebook."""
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


@contextmanager
def progress(title: str, total: float, stream: IO[str] | None = None) -> Iterator[Lines]:
    """Yield a progress display for a job that suits the terminal, notebook or pipe.

    Args:
        title: Name of the job.
        total: Amount of work, in any unit.
        stream: Stream to write to; standard error by default.
    """
    lines = _display(title, total, sys.stderr if stream is None else stream)
    try:
        yield lines
    finally:
        lines.close()


def _display(title: str, total: float, stream: IO[str]) -> Lines:
    if in_notebook():
        return NotebookBar(title, total)
    if not stream.isatty():
        return Lines(title, total, lambda text: print(text, file=stream, flush=True))
    from rich.console import Console

    return Bar(title, total, Console(file=stream))
