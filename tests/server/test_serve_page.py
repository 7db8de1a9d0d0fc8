"""The examples of docs/how-to/use/serve.md work as they are printed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers.server import PATIENCE, Process, serving
from oraclezoo.serving.sources import SAMPLE

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "use" / "serve.md").read_text(
    encoding="utf-8"
)
COMMANDS = re.findall(r"^\$ (curl .*)$", PAGE, re.M)
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the examples name."""
    place = tmp_path_factory.mktemp("examples")
    shutil.copy(SAMPLE, place / "bone.jpg")
    Image.open(SAMPLE).save(place / "scan.tif")
    (place / "token").write_text(TOKEN)
    return place


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Process]:
    """Return a server of the default model; it accepts the token of an example and needs none."""
    with serving(folder / "log", "--timeout", PATIENCE) as process:
        yield process


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="older versions of curl have no --json")
def test_curl_examples(command: str, server: Process, folder: Path) -> None:
    """Every one gets predictions, or the list of models."""
    line = command.replace("http://127.0.0.1:8000", server.url).replace("curl ", "curl -sf ", 1)
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done
    document: dict[str, Any] = json.loads(done.stdout)
    if "models" in document:
        assert document["models"][0]["name"] == "oraclenet_s"
        return
    assert document["data"]["unreadable"] == []
    assert {row["name"] for row in document["data"]["images"]} == {"cattle"}


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_python_examples(number: int, server: Process, folder: Path) -> None:
    """The client of oraclezoo, and that of Triton."""
    code = PROGRAMS[number].replace("127.0.0.1:8000", server.url.removeprefix("http://"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    expected = ("bone.jpg cattle\nscan.tif cattle\n", "[[")[number]
    assert done.stdout.startswith(expected)


def test_every_option_has_its_default_on_the_page() -> None:
    """The table of limits follows the command."""
    from oraclezoo.cli.serve import command

    defaults = {param.opts[0]: param.default for param in command.params}
    for option, text in re.findall(r"^\| `(--[a-z-]+)` \| (.*?) \|", PAGE, re.M):
        if option != "--threads":
            assert f"{defaults[option]:,.10g}" == text.split()[0]
