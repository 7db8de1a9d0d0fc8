"""The commands that train and benchmark."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest

from helpers.commands import oraclezoo, train
from oraclezoo.cli import cli


def test_train_then_evaluate(here: Path, tiny_idx: Path) -> None:
    """The metrics are on stdout, progress on stderr; --json prints one document."""
    result = train(tiny_idx)
    assert result.exit_code == 0, result.output
    folder = result.stdout.splitlines()[0]
    assert Path(folder).is_dir()
    assert "validation" in result.stdout
    assert "4/4" in result.stderr
    again = train(tiny_idx, "--resume", "--json")
    assert json.loads(again.stdout)["data"]["status"] == "done"
    scored = oraclezoo("evaluate", folder, "--data-dir", tiny_idx, "--device", "cpu")
    assert scored.exit_code == 0, scored.output
    assert "16 images" in scored.stdout
    document = oraclezoo(
        "evaluate", folder, "--data-dir", tiny_idx, "--device", "cpu", "--split", "test", "--json"
    )
    assert json.loads(document.stdout)["data"]["images"] == 40


def test_a_second_training_is_refused_and_nothing_is_lost(here: Path, tiny_idx: Path) -> None:
    """An existing run needs --resume or --overwrite."""
    assert train(tiny_idx).exit_code == 0
    before = {path: path.read_bytes() for path in here.rglob("runs/*/*")}
    result = train(tiny_idx)
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert {path: path.read_bytes() for path in here.rglob("runs/*/*")} == before
    assert train(tiny_idx, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["train", "defualt"], 2, "'default'"),
        (["train", "default", "-s", "data.trak=idx"], 2, "'track'"),
        (["train", "default", "-s", "optimizer.name=sdg"], 2, "'sgd'"),
        (["train", "default", "-s", "optimizer.moment=0.1"], 2, "'momentum'"),
        (["train", "default", "-s", "budget.epochs=0"], 2, "must be in"),
        (["train", "default", "--track", "orcale-mnist"], 2, "'oracle-mnist'"),
        (["train", "default", "--track", "idx"], 1, "--data-dir"),
        (["train", "default", "--track", "idx", "--data-dir", "none"], 1, "none"),
        (["train", "default", "--device", "tpu"], 2, "auto, cpu, cuda"),
        (["train", "default", "--device", "cuda:99"], 2, "is not available"),
        (["bench", "quik"], 2, "'quick'"),
        (["bench", "--suite", "referense"], 2, "'reference'"),
        (["evaluate", "runs/none"], 1, "not a run folder"),
        (["leaderboard", "none"], 1, "none"),
        (["recipe", "show", "zzzzzz"], 2, "available: authors-cnn"),
    ],
)
def test_bad_input_is_one_or_two_clear_lines(
    here: Path, arguments: list[str], status: int, says: str
) -> None:
    """The lines state fault and remedy; the exit status fits, and nothing is written."""
    result = oraclezoo(*arguments)
    assert result.exit_code == status, result.output
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
    assert "Traceback" not in result.output
    assert not list(here.iterdir())


def test_environment_comes_after_the_command_line_and_before_the_recipe(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-s overrides ORACLEZOO_OPTIMIZER__LR, which overrides the recipe."""
    monkeypatch.setenv("ORACLEZOO_OPTIMIZER__LR", "0.25")
    shown = json.loads(oraclezoo("recipe", "show", "default", "--json").stdout)["data"]
    assert shown["recipe"]["optimizer"]["lr"] == 0.25
    shown = json.loads(
        oraclezoo("recipe", "show", "default", "-s", "optimizer.lr=0.5", "--json").stdout
    )["data"]
    assert shown["recipe"]["optimizer"]["lr"] == 0.5


def test_recipes_are_listed_and_shown_as_files(here: Path) -> None:
    """The output of ``recipe show`` is a recipe file; --json lists recipes and suites."""
    text = oraclezoo("recipe", "show", "quick").stdout
    Path("mine.toml").write_text(text)
    assert oraclezoo("recipe", "show", "mine.toml").stdout == text
    listed = json.loads(oraclezoo("recipe", "list", "--json").stdout)["data"]
    assert {"default", "quick", "authors-cnn", "course-project"} <= {
        row["name"] for row in listed["recipes"]
    }
    assert {"quick", "reference"} <= {row["name"] for row in listed["suites"]}


def test_bench_marks_synthetic_data_and_fails_when_a_job_did(here: Path) -> None:
    """The table marks generated data and names the option for real images."""
    result = oraclezoo("bench", "authors-cnn", "-s", "budget.epochs=1", "--seeds", "1")
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC" in result.stdout
    assert "--track oracle-mnist-3k" in result.stdout
    wild = oraclezoo(
        *("bench", "authors-cnn", "--seeds", "1", "--json", "-s", "budget.epochs=3"),
        *("-s", "optimizer.lr=100.0", "-s", "optimizer.weight_decay=1.0"),
    )
    assert wild.exit_code == 1
    assert json.loads(wild.stdout)["data"][0]["failures"][0]["reason"] == "diverged"
    assert "failed" in wild.stderr
    shown = oraclezoo("leaderboard", "--json")
    (table,) = json.loads(shown.stdout)["data"]["tables"]
    assert len(table["rows"]) == 2
    assert table["recipes_scored"] == 1


def test_published_rows_stand_beside_new_ones(here: Path, oracle_dir: Path) -> None:
    """New results are ranked together with the published ones."""
    command = ["bench", "authors-cnn", "-s", "budget.epochs=1", "--seeds", "1", "--published"]
    result = oraclezoo(
        *command, "-s", "name=mine", "--track", "oracle-mnist-3k", "--data-dir", oracle_dir
    )
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC" not in result.stdout
    shown = oraclezoo("leaderboard", "results", "--published", "--json")
    tables = json.loads(shown.stdout)["data"]["tables"]
    own = ("oracle-mnist-3k", "closed")
    (table,) = (table for table in tables if (table["track"], table["division"]) == own)
    names = [row["recipe"] for row in table["rows"]]
    assert set(names) >= {"default", "authors-cnn", "course-project", "mine"}
    assert all(name[:4] in result.stdout for name in names)


def test_fetch_downloads_verified_files_from_a_mirror(here: Path, oracle_dir: Path) -> None:
    """The two files of the low-data track come from a local server and are verified."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(oracle_dir))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}"
        result = oraclezoo(
            "data", "fetch", "--only-3k", "--url", mirror, "--out", here / "data", "--json"
        )
        missing = oraclezoo("data", "fetch", "--url", f"{mirror}/none", "--out", here / "other")
        server.shutdown()
    assert result.exit_code == 0, result.output
    places = json.loads(result.stdout)["data"]
    assert len(places) == 2
    for name, place in places.items():
        assert Path(place).read_bytes() == (oracle_dir / name).read_bytes()
    assert missing.exit_code == 1
    assert "404" in missing.stderr
    assert not list((here / "other").glob("[!.]*"))


def test_every_command_that_prints_a_result_takes_json() -> None:
    """The README states this."""

    def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
        if not isinstance(command, click.Group):
            yield name, command
            return
        context = click.Context(command)
        for part in command.list_commands(context):
            actual = command.get_command(context, part)
            assert actual is not None
            yield from leaves(actual, f"{name} {part}")

    without = {"oraclezoo serve", "oraclezoo completion", "oraclezoo help"}  # they have no result
    for name, command in leaves(cli, "oraclezoo"):
        if name not in without:
            assert "as_json" in {parameter.name for parameter in command.params}, name


def test_data_preview_and_verify(here: Path, tiny_idx: Path, oracle_dir: Path) -> None:
    """A contact sheet is a PNG; verifying tells good files from altered ones by exit status 3."""
    result = oraclezoo(
        "data", "preview", "oracle-mnist-3k", "--out", "sheet.png", "--data-dir", oracle_dir
    )
    assert result.exit_code == 0, result.output
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")
    good = oraclezoo("data", "verify", oracle_dir, "--json")
    assert good.exit_code == 0, good.output
    assert {row["status"] for row in json.loads(good.stdout)["data"]["files"]} == {"ok", "missing"}
    (here / "data").mkdir()
    name = "t10k-labels-idx1-ubyte.gz"
    spoilt = bytearray((oracle_dir / name).read_bytes())
    spoilt[100] ^= 1
    (here / "data" / name).write_bytes(spoilt)
    bad = oraclezoo("data", "verify", here / "data")
    assert bad.exit_code == 3
    assert "mismatch" in bad.stdout
    assert name in bad.stderr
