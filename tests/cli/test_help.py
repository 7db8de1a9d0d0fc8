"""Help: every command has an example that its options accept, and color on a terminal."""

from __future__ import annotations

import os
import shlex
import struct
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from oraclezoo.cli import cli


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield the path and the object of each command that is not a group."""

    def walk(
        command: click.Command, path: tuple[str, ...], parent: click.Context | None
    ) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        context = command.context_class(command, info_name=path[-1], parent=parent)
        if not isinstance(command, click.Group):
            yield path, command
            return
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, (*path, name), context)

    yield from walk(cli, ("oraclezoo",), None)


COMMANDS = dict(commands())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_has_an_example_that_works(path: tuple[str, ...]) -> None:
    """It is the last part of the help, fits a terminal, and its options exist and are valid."""
    command = COMMANDS[path]
    result = CliRunner().invoke(cli, [*path[1:], "--help"])
    assert result.exit_code == 0
    example = result.output.partition("Example:\n")[2]
    lines = [line.strip() for line in example.splitlines() if line.strip()]
    assert lines, "no example"
    for line in lines:
        assert len(line) + 4 <= 80 or " > " in line  # a long path to redirect to
        words = shlex.split(line.removeprefix("$ ").partition(" > ")[0])
        assert tuple(words[: len(path)]) == path
        command.make_context(path[-1], words[len(path) :])


def output_in_a_terminal(*arguments: str, **variables: str) -> str:
    pty = pytest.importorskip("pty")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "oraclezoo", *arguments],
        stdout=end,
        env={**environment, "TERM": "xterm", **variables},
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
        assert process.wait(300) == 0
    os.close(terminal)
    return shown.decode().replace("\r\n", "\n")


def test_help_has_color_on_a_terminal_only() -> None:
    """NO_COLOR turns it off, and the text is the same."""
    colored = output_in_a_terminal("recipe", "show", "--help")
    plain = output_in_a_terminal("recipe", "show", "--help", NO_COLOR="1")
    assert "\x1b[1mUsage:" in colored
    assert "\x1b[36m" in colored
    assert "\x1b" not in plain
    assert click.unstyle(colored) == plain


def test_a_list_on_a_terminal_counts_and_says_what_is_next() -> None:
    """The origin is hidden while everything is built in; backbones have published figures."""
    text = click.unstyle(output_in_a_terminal("list", "backbones", ORACLEZOO_DISABLE_PLUGINS="all"))
    assert text.startswith("NAME")
    assert "ORIGIN" not in text
    assert "ACCURACY" in text
    assert "lenet5" in text
    assert "431,080" in text  # parameters of lenet5
    assert "backbones\n" in text
    assert "…" not in text
