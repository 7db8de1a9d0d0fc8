"""Progress of a training: shares after each step, a bar from Python, and the same weights."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import oraclezoo as oz
from oraclezoo.benching.actions import _stack_sender, _step_sender
from oraclezoo.benching.events import StepDone
from oraclezoo.cli import cli
from oraclezoo.engine.checkpoint import load_state
from oraclezoo.engine.records import Callbacks

SETTINGS: dict[str, object] = {
    "budget.epochs": 2,
    "budget.batch_size": 16,
    "data.track": "idx",
    "augment.shift": 1.0,
}


def weights(run: oz.Run) -> dict[str, Any]:
    model: dict[str, Any] = load_state(run.folder / "last.safetensors")["model"]
    return model


class Screen(io.StringIO):
    """Standard error of a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_step_is_reported_and_weights_do_not_depend_on_it(
    tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares grow evenly to 1; a bar in a terminal changes no bit of the weights."""
    recipe = oz.Recipe.load("authors-cnn", SETTINGS)
    shares: list[float] = []
    plain = oz.train(
        recipe, data_dir=tiny_idx, device="cpu", out=tmp_path / "a", on_step=shares.append
    )
    steps = len(shares)
    assert steps >= 8
    assert shares == pytest.approx([number / steps for number in range(1, steps + 1)])
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    shown = oz.train(recipe, data_dir=tiny_idx, device="cpu", out=tmp_path / "b")
    assert f"{recipe.name} seed 0" in screen.getvalue()
    assert "epoch 1/2" in screen.getvalue()
    size = len(screen.getvalue())
    silent = oz.train(
        recipe, data_dir=tiny_idx, device="cpu", out=tmp_path / "c", show_progress=False
    )
    assert len(screen.getvalue()) == size
    for other in (shown, silent):
        pairs = zip(weights(plain).values(), weights(other).values(), strict=True)
        assert all(bool((a == b).all()) for a, b in pairs)


def test_without_a_terminal_python_prints_nothing(
    tiny_idx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library is silent in scripts whose output is captured."""
    recipe = oz.Recipe.load("authors-cnn", SETTINGS)
    oz.train(recipe, data_dir=tiny_idx, device="cpu", out=tmp_path)
    assert capsys.readouterr() == ("", "")


def test_teachers_count_as_part_of_the_training(tiny_idx: Path, tmp_path: Path) -> None:
    """With two teachers, the student starts at two thirds."""
    recipe = oz.Recipe.load("authors-cnn", {**SETTINGS, "distill.teachers": 2})
    shares: list[float] = []
    messages: list[str] = []
    oz.train(
        recipe,
        data_dir=tiny_idx,
        device="cpu",
        out=tmp_path,
        on_step=shares.append,
        progress=messages.append,
    )
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert len(shares) % 3 == 0
    assert shares[2 * len(shares) // 3 - 1] == pytest.approx(2 / 3)
    assert [text for text in messages if "teacher" in text] == [
        "training teacher 1 of 2",
        "training teacher 2 of 2",
    ]


def test_parts_of_a_job_nest() -> None:
    """A part of a part covers the right span."""
    seen: list[float] = []
    Callbacks(on_step=seen.append).within(0.5, 1).within(0, 0.5).on_step(1)
    assert seen == [0.75]


def test_jobs_send_few_step_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most two per second, with the seeds of a stack."""
    now = [0.0]
    monkeypatch.setattr("oraclezoo.benching.actions.time.monotonic", lambda: now[0])
    sent: list[StepDone] = []

    class Channel:
        send = sent.append

    one = _step_sender(Channel())  # type: ignore[arg-type]  # only sends
    stack = _stack_sender(Channel())  # type: ignore[arg-type]  # only sends
    for step in range(100):
        now[0] = 0.01 * step
        one(step / 100)
        stack([3, 4], step / 100)
    assert sent == [StepDone(0.5), StepDone(0.5, (3, 4))]


def test_a_command_ends_with_the_next_step_unless_it_is_quiet(
    tiny_idx: Path, tmp_path: Path
) -> None:
    """The command is quoted; with --quiet, only results are printed."""
    out = tmp_path / "my runs"
    command = ["train", "authors-cnn", "--track", "idx", "--data-dir", str(tiny_idx)]
    command += ["--device", "cpu", "-s", "budget.epochs=1", "-s", "budget.batch_size=16"]
    loud = CliRunner().invoke(cli, [*command, "--out", str(out)])
    assert loud.exit_code == 0, loud.output
    folder = loud.stdout.splitlines()[0]
    assert loud.stderr.splitlines()[-1] == f"next: oraclezoo evaluate '{folder}'"
    quiet = CliRunner().invoke(cli, [*command, "--out", str(tmp_path / "b"), "--quiet"])
    assert quiet.exit_code == 0, quiet.output
    assert quiet.stderr == ""
    assert quiet.stdout
    wrong = CliRunner().invoke(cli, [*command, "--out", str(tmp_path / "b"), "--quiet"])
    assert wrong.exit_code == 2
    assert "holds a run" in wrong.stderr  # errors are printed
