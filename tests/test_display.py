"""Progress display: estimate, layout, plain lines, a real terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo import display
from oraclezoo.display import (
    Bar,
    Estimate,
    Lines,
    Silent,
    TrainingProgress,
    both,
    duration,
    fitting,
)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_estimate_uses_the_whole_job() -> None:
    """A job of equal steps is estimated exactly from the second update, and after a pause too."""
    clock = Clock()
    estimate = Estimate(clock)
    assert estimate.remaining_s is None
    for step in range(1, 11):
        clock.now = 60.0 * step
        estimate.update(step, 100)
        expected = None if step == 1 else 60.0 * (100 - step)
        assert estimate.remaining_s == (None if expected is None else pytest.approx(expected))
    clock.now += 45
    assert estimate.remaining_s == pytest.approx(60 * 90 - 45)
    assert estimate.elapsed_s == pytest.approx(9 * 60 + 45)


def test_reused_work_does_not_count_as_fast_work() -> None:
    """The first update of a resumed job is its start, and reused results take no time."""
    clock = Clock()
    estimate = Estimate(clock)
    estimate.update(40, 100)
    estimate.update(60, 100, worked=False)
    clock.now = 10
    estimate.update(70, 100)
    assert estimate.remaining_s == pytest.approx(30)


def test_work_of_unknown_size_has_no_estimate() -> None:
    """A download without a stated size, for example."""
    clock = Clock()
    estimate = Estimate(clock)
    estimate.update(0, 0)
    clock.now = 5
    estimate.update(1000, 0)
    assert estimate.remaining_s is None


def test_durations_are_short() -> None:
    """Minutes and seconds, with hours if there are any."""
    shown = [duration(value) for value in (None, 0, 59.6, 61, 3600, 36_061)]
    assert shown == ["-:--", "0:00", "1:00", "1:01", "1:00:00", "10:01:01"]


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"])), st.integers(0, 60))
def test_a_text_fits(text: str, width: int) -> None:
    """The last parts go first."""
    shown = fitting(text, width)
    assert len(shown) <= width
    assert text.startswith(shown.removesuffix("…"))


class Terminal:
    """What a bar needs of a console to be laid out."""


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 140])
@pytest.mark.parametrize("title", ["tiny seed 0", "a-recipe-with-a-very-long-name-indeed seed 12"])
def test_the_bar_fits_and_keeps_what_matters(columns: int, title: str) -> None:
    """Percentage and remaining time are there at every width; metrics are dropped from the end."""
    bar = Bar(title, 1, Terminal())  # type: ignore[arg-type]  # the layout needs none
    bar._record(0.25, "epoch 3/12, validation 91.2%, loss 0.312, 9,123 images/s", worked=True)
    line = "".join(bar.layout(columns))
    assert len(line) <= columns
    assert " 25%" in line
    assert "-:-- left" in line
    assert line.startswith(title[:10])
    if columns >= 80 and len(title) < 20:
        assert "epoch 3/12, validation 91.2%" in line
    if columns >= 140 and len(title) < 20:
        assert "9,123 images/s" in line
    assert line.isascii() == ("━" not in line)
    assert "".join(bar.layout(columns, ascii_only=True)).replace("…", "").isascii()


def test_plain_lines_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """One every ten seconds; a job of a few seconds prints none."""
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    written: list[str] = []
    lines = Lines("train", 100, written.append)
    for second in range(101):
        now[0] = float(second)
        lines.update(second, f"epoch {second // 10}")
    assert len(written) == 11
    assert written[0] == "train: 0%, epoch 0"
    assert written[1] == "train: 10%, 1:30 left, epoch 1"
    assert written[-1] == "train: 100%, epoch 10"
    short = Lines("evaluate", 1, written.append)
    short.update(1, "done")
    assert written[11:] == ["evaluate: 100%, done"]


def test_quiet_progress_prints_nothing() -> None:
    """Neither progress nor messages."""
    written: list[str] = []
    silent = Silent("train", 1, written.append)
    silent.say("downloading")
    silent.update(1, "epoch 1")
    assert written == []


@dataclass(frozen=True)
class Epoch:
    """Metrics of an epoch."""

    epoch: int
    text: str


def test_epochs_of_several_trainings_are_counted_together() -> None:
    """Pruning in two steps fine-tunes twice."""
    lines = Silent("fine-tuning", 1, print)
    seen: list[tuple[float, str]] = []
    lines.update = lambda done, text="", **_: seen.append((done, text))  # type: ignore[method-assign,assignment,misc]  # records
    shown = TrainingProgress(lines, 4)
    for number, epoch in enumerate((1, 2, 1, 2), 1):
        shown.on_step(number / 4)
        shown.on_epoch(Epoch(epoch, "loss 1"))
    assert seen[0] == (0.25, "epoch 1/4")
    assert seen[1] == (0.25, "epoch 1/4, loss 1")
    assert seen[-1] == (1.0, "epoch 4/4, loss 1")


def test_both_functions_are_called() -> None:
    """In order; the first may be missing."""
    calls: list[str] = []
    both(lambda x: calls.append(f"a{x}"), lambda x: calls.append(f"b{x}"))(1)
    both(None, lambda x: calls.append(f"b{x}"))(2)
    assert calls == ["a1", "b1", "b2"]


PROGRAM = """
import sys
from oraclezoo.display import progress
with progress("working", 4) as lines:
    if sys.argv[1] == "invalid":
        raise SystemExit("bad input")
    for step in range(1, 5):
        lines.update(step, "text")
        if step == 2:
            lines.say("a message")
            if sys.argv[1] == "error":
                raise SystemExit("it failed")
"""


def shown_in_a_terminal(how: str) -> str:
    """Return what the program writes to a terminal."""
    pty = pytest.importorskip("pty")
    terminal, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how], stderr=end, env=environment
    ) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                piece = os.read(terminal, 1 << 16)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        process.wait(300)
    os.close(terminal)
    return shown.decode()


def test_a_bar_disappears_before_an_error() -> None:
    """Its line is erased, the cursor is back, and the message follows."""
    text = shown_in_a_terminal("error")
    assert "working" in text
    assert "a message" in text
    last_bar, error = text.rindex("working"), text.index("it failed")
    between = text[last_bar:error]
    assert "\x1b[2K" in between  # erases the line
    assert "\x1b[?25h" in between  # shows the cursor


def test_an_invalid_input_shows_no_bar() -> None:
    """The bar starts with the first step."""
    assert shown_in_a_terminal("invalid").strip() == "bad input"
