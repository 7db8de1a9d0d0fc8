"""The Sphinx directive: downloads, text for other builders, errors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from oraclezoo.cli import cli

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return documentation with a page next to a copy of the committed results."""
    source = tmp_path / "docs"
    (source / "deep").mkdir(parents=True)
    shutil.copytree(RESULTS, tmp_path / "results")
    (source / "conf.py").write_text("extensions = ['oraclezoo.sphinxext']\n")
    (source / "index.rst").write_text("Top\n===\n\n.. toctree::\n\n   deep/board\n")
    page = "Board\n=====\n\n.. oraclezoo-leaderboard:: /../results\n   :division: closed\n"
    (source / "deep" / "board.rst").write_text(page)
    return source


def build(source: Path, builder: str) -> subprocess.CompletedProcess[str]:
    """Run sphinx-build with warnings as errors."""
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "-q", "-b", builder]
    out = source.parent / builder
    return subprocess.run([*command, str(source), str(out)], capture_output=True, text=True)


def test_the_files_to_download_are_what_the_command_prints(source: Path) -> None:
    """JSON and CSV equal the command's output, and the page's links resolve."""
    done = build(source, "html")
    assert done.returncode == 0, done.stderr
    folder = source.parent / "html" / "_static" / "oraclezoo"
    for form in ("json", "csv"):
        arguments = ["leaderboard", str(RESULTS), "--division", "closed", "--format", form]
        printed = CliRunner().invoke(cli, arguments).output
        written = (folder / f"deep-board-1.{form}").read_text(encoding="utf-8")
        if form == "json":
            assert json.loads(written) == json.loads(printed)
        else:
            assert written == printed
    page = (source.parent / "html" / "deep" / "board.html").read_text(encoding="utf-8")
    assert 'href="../_static/oraclezoo/deep-board-1.json"' in page
    assert "oraclezoo-leaderboard.css" in page
    row = next((source.parent / "html" / "deep" / "board").glob("*-default-30b5cc180930-*.html"))
    text = row.read_text(encoding="utf-8")
    assert 'href="../../_static/oraclezoo/results/oracle-mnist-3k-default-30b5cc180930-' in text
    assert 'href="../board.html#oracle-mnist-3k-closed-30b5cc180930"' in text
    assert "oraclezoo-leaderboard.css" in text
    for path in RESULTS.glob("oracle-mnist-3k-default-30b5cc180930-*"):
        assert (folder / "results" / path.name).read_bytes() == path.read_bytes()
    index = (source.parent / "html" / "index.html").read_text(encoding="utf-8")
    assert "oraclezoo-leaderboard" not in index, "other pages do not load the script"


def test_a_result_that_came_later_is_shown(source: Path) -> None:
    """A second build reads the page again, although its text is unchanged."""
    results = source.parent / "results"
    held_back = sorted(results.glob("oracle-mnist-3k-authors-cnn-8ccef09c650f-*"))
    for path in held_back:
        path.rename(source.parent / path.name)
    assert build(source, "html").returncode == 0
    page = source.parent / "html" / "deep" / "board.html"
    assert "data-ties" in (before := page.read_text(encoding="utf-8"))
    for path in held_back:
        (source.parent / path.name).rename(path)
    assert build(source, "html").returncode == 0
    assert before.count("data-ties") + 1 == page.read_text(encoding="utf-8").count("data-ties")


def test_other_builders_show_the_tables_as_text(source: Path) -> None:
    """They get the same tables in Markdown."""
    done = build(source, "text")
    assert done.returncode == 0, done.stderr
    text = (source.parent / "text" / "deep" / "board.txt").read_text(encoding="utf-8")
    assert "Leaderboard: oracle-mnist-3k, closed division" in text
    assert "open division" not in text


def test_a_forged_result_stops_the_build(source: Path) -> None:
    """The error names file and fault; with the result restored, the page builds."""
    path = next((source.parent / "results").glob("*default*.json"))
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    document["seeds"][0]["accuracy"] = 0.999
    path.write_text(json.dumps(document))
    done = build(source, "html")
    assert done.returncode != 0
    assert "seed 0: reported accuracy 0.999" in done.stderr
    path.write_text(text, encoding="utf-8")
    assert build(source, "html").returncode == 0


@pytest.mark.parametrize("argument", ["/../nowhere", "/conf.py"])
def test_what_is_no_result_is_an_error_of_the_page(source: Path, argument: str) -> None:
    """The error names the line of the page."""
    page = source / "deep" / "board.rst"
    page.write_text(f"Board\n=====\n\n.. oraclezoo-leaderboard:: {argument}\n")
    done = build(source, "html")
    assert done.returncode != 0
    assert "board.rst:4: ERROR" in done.stderr
