"""The options --compile, --deterministic and --profile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import oraclezoo as oz
from helpers.commands import SMALL, oraclezoo, train
from oraclezoo import jobs
from oraclezoo.artifacts import build
from oraclezoo.errors import OutOfMemoryError, UsageError


def test_a_profile_is_shown_and_kept(here: Path, tiny_idx: Path) -> None:
    """stdout has the time breakdown.

    Trace and report stay in the run folder until it is replaced.
    """
    result = train(tiny_idx, "--profile")
    assert result.exit_code == 0, result.output
    folder = Path(result.stdout.splitlines()[0])
    for words in ("a step takes", "augment", "backward", "idle, other", "GFLOP/s", "aten::"):
        assert words in result.stdout
    assert "peak memory" in result.stdout
    report = json.loads((folder / "profile.json").read_text())
    assert report["schema"] == "oraclezoo/profile/1"
    assert json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert oz.Run.load(folder).record.profiled
    document = json.loads(train(tiny_idx, "--profile", "--overwrite", "--json").stdout)["data"]
    assert {row["phase"] for row in document["profile"]["budget"]} >= {"augment", "optimizer"}
    refused = train(tiny_idx, "--profile", "--resume")
    assert refused.exit_code == 2
    assert "finished" in refused.stderr
    assert train(tiny_idx, "--overwrite").exit_code == 0
    assert not (folder / "profile.json").exists()
    assert not (folder / "trace.json").exists()
    assert not oz.Run.load(folder).record.profiled


def test_a_profile_goes_where_python_says(here: Path, tiny_idx: Path) -> None:
    """``profile`` accepts a folder; a too short training run is rejected before it starts."""
    recipe = oz.Recipe.load("authors-cnn", {"budget.epochs": 1, "data.track": "idx"})
    oz.train(recipe, data_dir=tiny_idx, device="cpu", profile="elsewhere")
    assert {path.name for path in Path("elsewhere").iterdir()} == {"profile.json", "trace.json"}
    one = recipe.override({"budget.batch_size": 144})
    with pytest.raises(UsageError, match="at least 2 steps"):
        oz.train(one, data_dir=tiny_idx, device="cpu", profile="other")


def test_engine_settings_are_recorded_and_change_no_hash(here: Path, tiny_idx: Path) -> None:
    """run.json has the requested and the used settings; the folder's name is the same."""
    first = train(tiny_idx, "--json")
    plain = json.loads(first.stdout)["data"]
    assert (plain["compile"], plain["deterministic"]) == ("auto", False)
    assert (plain["outcome"]["compiled"], plain["outcome"]["compile_s"]) == (False, 0.0)
    weights = (Path(plain["folder"]) / "last.safetensors").read_bytes()
    again = train(tiny_idx, "--json", "--overwrite", "--compile", "off", "--deterministic")
    strict = json.loads(again.stdout)["data"]
    assert (strict["compile"], strict["deterministic"]) == ("off", True)
    assert strict["folder"] == plain["folder"]
    saved = oz.Run.load(strict["folder"])
    assert [row.train_loss for row in saved.metrics]
    assert len((saved.folder / "last.safetensors").read_bytes()) == pytest.approx(
        len(weights), abs=200
    )
    wrong = train(tiny_idx, "--compile", "maybe")
    assert wrong.exit_code == 2


def test_a_benchmark_hands_them_to_its_jobs(here: Path, tiny_idx: Path) -> None:
    """Each job records them, and runs with other settings are not reused."""
    arguments = ("bench", "authors-cnn", "--track", "idx", "--data-dir", tiny_idx, *SMALL)
    more = ("--seeds", "1", "--json", "--compile", "off", "--deterministic")
    result = oraclezoo(*arguments, *more)
    assert result.exit_code == 0, result.output
    (folder,) = (path for path in Path("runs").iterdir() if path.is_dir())
    provenance = oz.Run.load(folder).record.provenance
    assert (provenance.compile, provenance.deterministic) == ("off", True)
    kept = oraclezoo(*arguments, *more)
    assert "(reused: same recipe" in kept.stderr
    anew = oraclezoo(*arguments, *more[:-1])
    assert anew.exit_code == 0, anew.output
    assert "(reused: same recipe" not in anew.stderr
    with pytest.raises(UsageError, match="auto, on or off"):
        oz.bench(["authors-cnn"], track="idx", data_dir=tiny_idx, compile="maybe")


def test_too_large_a_model_is_told_apart_from_a_batch(
    here: Path, tiny_idx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without memory for any batch, the two lines name no batch size."""

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1")

    monkeypatch.setattr(build, "build_parts", refuse)
    result = train(tiny_idx)
    assert result.exit_code == 1
    assert "while the model is built" in result.stderr
    assert "batch_size" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 2


def test_a_job_reports_it_as_out_of_memory() -> None:
    """The job raises torch's error type, so that the benchmark can classify the failure."""
    assert jobs._REASONS[OutOfMemoryError] == "out-of-memory"
