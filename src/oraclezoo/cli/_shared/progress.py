"""Progress of commands on stderr, and handling of Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from oraclezoo.cli._shared.app import is_quiet, stderr
from oraclezoo.display import Lines, Silent
from oraclezoo.display import progress as display
from oraclezoo.signals import detach, handling

if TYPE_CHECKING:
    from oraclezoo.benching.progress import Progress


@contextmanager
def progress(title: str, total: float) -> Iterator[Lines]:
    """Yield a progress display for ``total`` units of work; it is silent with ``--quiet``."""
    if is_quiet():
        yield Silent(title, total, lambda text: None)
        return
    with display(title, total, stderr()) as lines:
        yield lines


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


def received_bytes(lines: Lines) -> Callable[[str, int, int | None], None]:
    """Return a callback that shows the bytes of a download.

    Args:
        lines: The display; its total becomes the size of the file.
    """

    def received(name: str, done: int, total: int | None) -> None:
        of = "" if total is None else f" of {total / 1e3:,.0f}"
        lines.total = total or 0
        lines.update(done, f"{done / 1e3:,.0f}{of} kB, {name}")

    return received


def bench_reporter(lines: Lines) -> Callable[[Progress], None]:
    """Return a callback that reports benchmark events as progress and messages."""
    from oraclezoo.artifacts.record import Scores
    from oraclezoo.engine.records import Epoch
    from oraclezoo.jobs import Failed, Message

    def report(state: Progress) -> None:
        job = state.recipe if state.seed is None else f"{state.recipe} seed {state.seed}"
        text = _EVENTS.get(state.event, state.event)
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
                text = state.detail.text
        if state.event == "message":
            return
        lines.total = state.total
        shown = "" if state.event == "step" else f"{job}, {text}"
        lines.update(state.done, shown, worked=state.event != "kept")

    return report


_EVENTS = {
    "start": "starting",
    "kept": "reused",
    "apart": "one by one",
    "measure": "measuring latency",
}
"""Text of benchmark events that differ from their name."""
