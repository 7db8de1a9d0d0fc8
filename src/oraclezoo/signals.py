"""Signals that ask a process to stop: Ctrl-C, a scheduler's SIGTERM, a closed terminal's SIGHUP."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that make a job save its state and stop; Windows has no SIGHUP."""

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def handling(handler: Handler | signal.Handlers) -> Iterator[None]:
    """Handle the signals of :data:`STOPPING` during the block, except those that are ignored.

    ``nohup`` ignores SIGHUP, and shells ignore SIGINT in background processes. Only the main thread
    can set handlers; in other threads the block runs without any.

    Args:
        handler: A function of the signal's number and the stack frame, or ``signal.SIG_IGN``.

    Yields:
        None.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    changed = [number for number in STOPPING if before[number] is not signal.SIG_IGN]
    for number in changed:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, before[number])


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; a handler for commands that save their state on this exception."""
    detach(number)
    raise KeyboardInterrupt


def detach(number: int) -> None:
    """Discard further output if the terminal was closed, since writing to it would fail.

    Args:
        number: The signal's number; only SIGHUP has an effect.
    """
    if number != getattr(signal, "SIGHUP", None):
        return
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):
            if os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
        os.close(nowhere)
