"""Help and listings import no heavy library, even with plugins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("torch", "timm", "numpy", "scipy", "onnx", "onnxruntime", "PIL", "rich.console")

WATCH = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from oraclezoo.cli import main
main(sys.argv[1:])
"""


def run(site: Any, *arguments: str) -> tuple[int, str, list[str]]:
    """Return exit status, stdout and modules of a process that runs the command line."""
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "backbones", "resnet18"],
        ["list", "backbones", "timm/resnet50", "--json"],
        ["plugins"],
        ["plugins", "doctor"],
        ["env"],
        ["env", "--licenses"],
    ],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(site: Any, arguments: list[str]) -> None:
    """The number of plugins does not matter."""
    for number in range(3):
        site.offer(f"zoo-{number}", f"net-{number}")
    status, output, modules = run(site, *arguments)
    assert status == 0
    assert output
    assert not set(HEAVY) & set(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=" ".join)
def test_help_loads_no_plugin_and_no_command(site: Any, arguments: list[str]) -> None:
    """The help lines are in the table of commands."""
    plugin = site.offer("zoo-a", "net")
    _, _, modules = run(site, *arguments)
    assert not {
        plugin,
        "oraclezoo.plugins.host",
        "oraclezoo.cli.list_",
        "importlib.metadata",
    } & set(modules)


def test_python_dash_m_is_the_same_program(site: Any) -> None:
    """``python -m oraclezoo`` works where scripts are not on the path."""
    site.offer("zoo-a", "net-a")
    done = subprocess.run(
        [sys.executable, "-m", "oraclezoo", "list", "zoo-a:*"],
        env={**os.environ, "PYTHONPATH": str(site.folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "net-a" in done.stdout


def test_a_closed_pipe_is_no_traceback(site: Any) -> None:
    """``oraclezoo list | head -1`` exits silently."""
    site.offer("zoo-a", *(f"net-{number}" for number in range(5000)))  # more than a pipe holds
    command = f"{sys.executable} -m oraclezoo list | head -1"
    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "PYTHONPATH": str(site.folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.startswith("KIND")
    assert done.stderr == ""


def test_a_table_nobody_reads_is_no_error() -> None:
    """Rich ends the process when the reader has closed the pipe; no component is to blame."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "oraclezoo", "leaderboard", "--published"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(writer)
    assert "component" not in done.stderr, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_named() -> None:
    """The message says what could not be written, as it does for files."""
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m oraclezoo list backbones > /dev/full"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "oraclezoo: standard output: No space left on device\n",
    )


def test_shell_completion_knows_commands_and_names(site: Any) -> None:
    """Click completes commands, and names from the registry."""
    site.offer("zoo-a", "lenet-of-a")

    def complete(words: str, count: int) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "oraclezoo"],
            env={
                **os.environ,
                "PYTHONPATH": str(site.folder),
                "_ORACLEZOO_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(count),
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert {"list", "leaderboard"} == set(complete("oraclezoo l", 1))
    assert complete("oraclezoo list back", 2) == ["backbones"]
    assert complete("oraclezoo list backbones lenet", 3) == ["lenet-of-a", "lenet5"]
    assert "tiny" in complete("oraclezoo train ti", 2)
    assert "backbones/lenet5" in complete("oraclezoo bench backbones/le", 2)
    assert "backbones" in complete("oraclezoo bench --suite back", 3)
    assert complete("oraclezoo train --track glyphs-", 3) == ["glyphs-3k"]
    assert "oraclenet_n" in complete("oraclezoo predict --model oracle", 3)
    assert complete("oraclezoo leaderboard --track glyphs-", 3) == ["glyphs-3k"]
    assert complete("oraclezoo help data pre", 3) == ["preview"]
    assert "train" in complete("oraclezoo help tr", 2)
    assert complete("oraclezoo train -s optimizer.na", 3) == ["optimizer.name="]
    assert "budget.epochs=" in complete("oraclezoo bench -s budget.", 3)
    assert complete("oraclezoo train -s backbone.name = lenet", 5) == ["lenet-of-a", "lenet5"]
    assert "glyphs-3k" in complete("oraclezoo train -s data.track =", 4)
    assert complete("oraclezoo train --track = glyphs-", 4) == ["glyphs-3k"]
    assert complete("oraclezoo train --set = backbone.name = lenet5", 6) == ["lenet5"]
    assert complete("oraclezoo train -s backbone.name = lenet5 ti", 6) == ["tiny"]
    assert complete("oraclezoo train -s data.refit =", 4) == ["true", "false"]


def test_completion_prints_a_script_that_bash_accepts(site: Any) -> None:
    """``bash -n`` parses the script, which defines a completion for ``oraclezoo``."""
    for shell in ("bash", "zsh", "fish"):
        done = subprocess.run(
            [sys.executable, "-m", "oraclezoo", "completion", shell],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "_ORACLEZOO_COMPLETE" in done.stdout
        if shell == "bash" and shutil.which("bash"):
            subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_offers_names_although_files_are_possible(tmp_path: Path) -> None:
    """bash's function drops all names if there is an item for files among them.

    It also splits ``-s KEY=VALUE`` into words, so the reply is the value alone.
    """
    program = tmp_path / "oraclezoo"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m oraclezoo "$@"\n')
    program.chmod(0o755)
    lines = (
        f'eval "$({program} completion bash)"',
        "COMP_WORDS=(oraclezoo train ti) COMP_CWORD=2 COMPREPLY=()",
        f'_oraclezoo_completion {program} 2>/dev/null; echo "${{COMPREPLY[@]}}"',
        "COMP_WORDS=(oraclezoo train -s optimizer.name = adamw) COMP_CWORD=5 COMPREPLY=()",
        f'_oraclezoo_completion {program} 2>/dev/null; echo "${{COMPREPLY[@]}}"',
    )
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split() == ["tiny", "adamw"]
