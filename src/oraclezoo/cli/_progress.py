"""Progress on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from oraclezoo.pipeline.bench import Progress
    from oraclezoo.train.engine import Epoch


def say(text: str) -> None:
    """A message to the user, on standard error."""
    click.echo(text, err=True)


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """``update(done, text)`` for some long work.

    On a terminal it moves a bar; elsewhere it prints a line, at most every ten seconds.
    """
    if not sys.stderr.isatty():
        yield _plain(title, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), "{task.completed:g}/{task.total:g}")
    console = Console(stderr=True)
    with Progress(
        *columns, TextColumn("{task.fields[text]}"), TimeRemainingColumn(), console=console
    ) as shown:
        task = shown.add_task(title, total=total, text="")
        yield lambda done, text: shown.update(task, completed=done, text=text)


def _plain(title: str, total: int) -> Callable[[int, str], None]:
    last = -10.0

    def update(done: int, text: str) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= 10:
            last = time.monotonic()
            say(f"{title} {done}/{total} {text}")

    return update


def epoch_text(epoch: Epoch | dict[str, Any]) -> str:
    """An epoch's figures in a few words."""
    row = epoch if isinstance(epoch, dict) else vars(epoch)
    text = f"loss {row['train_loss']:.3f}"
    if row["validation_accuracy"] is not None:
        text += f", validation {100 * row['validation_accuracy']:.1f}%"
    return f"{text}, {row['images_per_s']:,.0f} images/s"


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; a second press interrupts at once."""
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)
        say("stopping after this step (Ctrl-C again to stop at once)")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def bench_reporter(update: Callable[[int, str], None]) -> Callable[[Progress], None]:
    """Turns a benchmark's events into progress and lines."""

    def report(state: Progress) -> None:
        who = state.recipe if state.seed is None else f"{state.recipe} seed {state.seed}"
        if state.event in ("kept", "done"):
            how = " (kept from before)" if state.event == "kept" else ""
            say(f"{who}: test {100 * state.fields['accuracy']:.1f}%{how}")
        elif state.event == "failed":
            say(f"{who}: failed ({state.fields['reason']}): {state.fields['message']}")
        text = epoch_text(state.fields) if state.event == "epoch" else state.event
        finished = state.event in ("kept", "done", "failed")
        update(state.index if finished else state.index - 1, f"{who} {text}")

    return report
