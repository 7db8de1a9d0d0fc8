"""Errors are one or two lines on stderr and an exit status."""

from __future__ import annotations

import errno
import importlib
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from oraclezoo import errors
from oraclezoo._version import __version__ as VERSION
from oraclezoo.cli import COMMANDS, SECTIONS, cli, main
from oraclezoo.errors import (
    DataError,
    InterruptedRunError,
    JobError,
    UsageError,
    VerificationError,
    command_line,
)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str, str]:
    """Return exit status, stdout and stderr."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    printed = capsys.readouterr()
    return stopped.value.code, printed.out, printed.err


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that adds a command ``fail``, which raises or exits as given."""

    def install(error: BaseException | int) -> None:
        @click.command("fail")
        @click.pass_context
        def command(ctx: click.Context) -> None:
            if isinstance(error, int):
                ctx.exit(error)
            raise error

        monkeypatch.setitem(COMMANDS, "fail", ("oraclezoo.cli:fail", ""))
        monkeypatch.setattr("oraclezoo.cli.fail", command, raising=False)

    return install


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("no file"), 1, "oraclezoo: no file\n"),
        (JobError("1 of 5 jobs failed"), 1, "oraclezoo: 1 of 5 jobs failed\n"),
        (UsageError("wrong name"), 2, "oraclezoo: wrong name\n"),
        (VerificationError("94.1% < 95%"), 3, "oraclezoo: 94.1% < 95%\n"),
        (InterruptedRunError("stopped; --resume"), 130, "oraclezoo: stopped; --resume\n"),
        (click.ClickException("cannot"), 1, "oraclezoo: cannot\n"),
        (click.UsageError("odd"), 2, "oraclezoo: odd\ntry 'oraclezoo fail --help'\n"),
        (KeyboardInterrupt(), 130, "\noraclezoo: interrupted\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_error_becomes_a_message_and_its_exit_status(
    capsys: pytest.CaptureFixture[str], failing: Any, error: Any, status: int, message: str
) -> None:
    """Nothing is on stdout, and there is no traceback."""
    failing(error)
    assert run(capsys, "fail") == (status, "", message)


def test_an_unexpected_error_is_one_line_that_names_debug(
    capsys: pytest.CaptureFixture[str], failing: Any
) -> None:
    """This holds even if its message has several lines."""
    failing(ValueError("first\nsecond"))
    status, _, err = run(capsys, "fail")
    assert status == 1
    assert err.startswith("oraclezoo: unexpected ValueError: first second; run 'oraclezoo --debug")
    assert err.count("\n") == 1
    assert "--debug" in err


@pytest.mark.parametrize("error", [DataError("no file"), ValueError("odd")])
def test_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], failing: Any, error: Exception
) -> None:
    """The traceback precedes the message on stderr."""
    failing(error)
    status, out, err = run(capsys, "--debug", "fail")
    assert (status, out) == (1, "")
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("oraclezoo: ")


@pytest.mark.parametrize("status", [0, 1, 3])
def test_a_command_may_set_its_exit_status(
    capsys: pytest.CaptureFixture[str], failing: Any, status: int
) -> None:
    """No message is added."""
    failing(status)
    assert run(capsys, "fail") == (status, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "unknown command 'lst'; did you mean 'list'"),
        (["list", "--jsn"], "--json"),
        (["--nope"], "--nope"),
        (["list", "backbones", "x", "y"], "extra argument"),
        (["list", "nets", "x"], "unknown kind 'nets'"),
        (["list", "backbones", "lenett"], "did you mean 'lenet5'"),
        (["list", "backbnes"], "did you mean 'backbones'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_two_lines_at_most_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """A similar name is suggested if there is one."""
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("oraclezoo: ")
    assert message in err
    assert err.count("\n") <= 2


def test_strict_stops_on_a_quarantined_plugin(
    capsys: pytest.CaptureFixture[str], site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--strict or its environment variable raises an error; otherwise there is a warning."""
    site.add("zoo-broken", "raise RuntimeError('no luck')")
    status, out, err = run(capsys, "list")
    assert status == 0
    assert "lenet5" in out
    assert err.startswith("quarantined: zoo-broken:main; see")
    for arguments in (["--strict", "list"], ["list"]):
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (1, "")
        assert "zoo-broken:main (it raises RuntimeError: no luck)" in err
        assert err.count("\n") == 2
        monkeypatch.setenv("ORACLEZOO_STRICT", "1")


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The help is on stdout, and the exit status is 0."""
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert run(capsys, "--help")[1] == out


def test_the_help_lists_each_command_in_one_section() -> None:
    """Every section has an example, whose command is in it."""
    listed = [name for section in SECTIONS for name in section.commands]
    assert sorted(listed) == sorted(COMMANDS)
    for section in SECTIONS:
        assert section.example.split()[1] in section.commands


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ((), "Usage: oraclezoo [OPTIONS]"),
        (("train",), "Usage: oraclezoo train"),
        (("data", "convert"), "Usage: oraclezoo data convert"),
    ],
)
def test_help_is_a_command_too(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], start: str
) -> None:
    """``oraclezoo help X`` prints what ``oraclezoo X --help`` prints."""
    status, out, _ = run(capsys, "help", *words)
    assert status == 0
    assert out.startswith(start)
    assert out == run(capsys, *words, "--help")[1]


def test_help_of_an_unknown_command_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    """As the command itself does."""
    status, _, err = run(capsys, "help", "trian")
    assert status == 2
    assert "train" in err
    assert run(capsys, "help", "train", "x")[0] == 2


def test_capital_v_shows_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """-V is short for --version."""
    assert run(capsys, "-V")[1] == run(capsys, "--version")[1] == f"oraclezoo, version {VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("train", "--epoch", "3"), "'-s budget.epochs=3'"),
        (("train", "--epoch=4"), "'-s budget.epochs=4'"),
        (("train", "--epoch", "--quiet"), "'-s budget.epochs=...'"),
        (("train", "--batch-size", "3"), "'-s budget.batch_size=3'"),
        (("bench", "--lr", "3"), "'-s optimizer.lr=3'"),
        (("train", "-s", "lr=3"), "use optimizer.lr=3"),
        (("train", "-s", "label_smoothin=0.1"), "use loss.label_smoothing"),
    ],
)
def test_a_near_miss_names_the_recipe_key(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], key: str
) -> None:
    """An option or key that resembles a recipe key is answered with that key."""
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert key in err


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_is_true(name: str) -> None:
    """Each target exists with that name and has a help text, and so do its subcommands."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help
    if isinstance(command, click.Group):
        assert all(below.help for below in command.commands.values())


def test_a_caller_may_handle_errors_itself() -> None:
    """Without click's standalone mode, exceptions propagate."""
    with pytest.raises(UsageError, match="unknown"):
        cli.main(["list", "backbones", "zzz"], standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["bench", "--fresh"], "No such option '--fresh'. Use '--overwrite'."),
        (["reproduce", "r", "--at-once", "2"], "No such option '--at-once'. Use '--jobs'."),
        (["data", "fetch", "--dest", "x"], "No such option '--dest'. Use '--out'."),
        (["prune", "model", "small", "--macs", "0.5"], "Choose the output with '--out'."),
        (["data", "convert", "scans"], "Missing option '--out'"),
    ],
)
def test_spelling_of_0_1_names_the_current_one(arguments: list[str], hint: str) -> None:
    """Renamed options and positional outputs are usage errors with the current name."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert hint in result.stderr


def test_a_full_disk_is_reported_with_the_file(
    capsys: pytest.CaptureFixture[str], failing: Any
) -> None:
    """Path and reason, on one line."""
    failing(OSError(errno.ENOSPC, "No space left on device", "runs/x/metrics.jsonl"))
    status, _, text = run(capsys, "fail")
    assert (status, text) == (1, "oraclezoo: runs/x/metrics.jsonl: No space left on device\n")


def test_command_lines_can_be_pasted() -> None:
    """Words with spaces and quotes come back as they were."""
    words = ["oraclezoo", "export", "my runs/it's", "-s", "name='x y'"]
    assert shlex.split(command_line(*words)) == words
    assert command_line("oraclezoo", "export", Path("runs/x")) == "oraclezoo export runs/x"


def test_command_lines_for_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows' shell knows double quotes only."""
    monkeypatch.setattr(errors, "os", SimpleNamespace(name="nt"))
    assert command_line("oraclezoo", "export", "my runs") == 'oraclezoo export "my runs"'
