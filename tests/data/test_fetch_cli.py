"""``oraclezoo data fetch``: output, exit statuses, progress."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.file_server import FileServer
from oraclezoo import display
from oraclezoo.cli import cli
from oraclezoo.cli._shared.progress import received_bytes
from oraclezoo.data.upstream import FILES

CODE = """
import json, sys
from oraclezoo.cli import main
from oraclezoo.data import upstream
for name, kind, digest in json.loads(sys.argv.pop(1)):
    upstream.FILES[name] = upstream.UpstreamFile(name, kind, digest, 100_000, None)
main()
"""


def test_paths_go_to_stdout_and_lines_to_stderr(server: FileServer, tmp_path: Path) -> None:
    """Prints a line per file and per retry; verified files are kept silently."""
    server.plan = ["truncated"]
    command = ["data", "fetch", "--url", server.url, "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, command, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [str(tmp_path / name) for name in FILES]
    progress = "downloading: "
    lines = [line for line in result.stderr.splitlines() if not line.startswith(progress)]
    assert lines[1] == "incomplete download; retrying in 1 s"
    assert [line.split()[0] for line in lines] == [
        "downloading",
        "incomplete",
        *["downloading"] * 3,
        "next:",
    ]
    again = CliRunner().invoke(cli, [*command, "--json"])
    assert json.loads(again.stdout)["data"] == {name: str(tmp_path / name) for name in FILES}
    assert again.stderr == ""


def test_a_failure_is_two_lines_and_status_1(server: FileServer, tmp_path: Path) -> None:
    """The reason and the alternatives."""
    server.mode = "wrong"
    command = ["data", "fetch", "--url", server.url, "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 1
    assert result.stdout == ""
    *_, reason, instead = result.stderr.splitlines()
    assert FILES[next(iter(FILES))].digest in reason
    assert "--data-dir" in instead


def test_elsewhere_than_on_a_terminal_bytes_are_lines_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line at the start and every ten seconds, with or without a known total."""
    now = [100.0]
    monkeypatch.setattr("oraclezoo.display.time.monotonic", lambda: now[0])
    with display.progress("downloading", 1) as lines:
        received = received_bytes(lines)
        for second in range(25):
            now[0] = 100.0 + second
            received("file", second * 1_000_000, 24_000_000 if second < 15 else None)
    assert capsys.readouterr().err.splitlines() == [
        "downloading: 0%, 0 of 24,000 kB, file",
        "downloading: 42%, 0:14 left, 10,000 of 24,000 kB, file",
        "downloading: 20,000 kB, file",
    ]


def test_on_a_terminal_there_is_a_bar(server: FileServer, tmp_path: Path) -> None:
    """A progress bar with the bytes received; messages scroll above it."""
    pty = pytest.importorskip("pty")
    server.chunk_s = 0.005
    records = json.dumps([(file.name, file.kind, file.digest) for file in FILES.values()])
    command = [sys.executable, "-c", CODE, records, "data", "fetch"]
    terminal, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [*command, "--url", server.url, "--out", tmp_path],
        stdout=subprocess.DEVNULL,
        stderr=end,
        env=environment,
    ) as process:
        os.close(end)
        shown = b""
        while piece := read(terminal):
            shown += piece
        os.close(terminal)
        assert process.wait(60) == 0
    text = shown.decode()
    assert "2 of 2 kB" in text
    assert "100%" in text
    assert text.count("downloading train-images-idx3-ubyte.gz from") == 1


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how a pty says that the other end is closed
        return b""
