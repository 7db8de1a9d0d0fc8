"""Files that oraclezoo 0.1.0 wrote: they still load, mean the same, and are resumed.

Public functions and the command line alone, so that the samples are read as users read theirs.
``samples/v0.1/README.md`` says how they were written.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import oraclezoo as oz
from oraclezoo.cli import cli

SAMPLES = Path(__file__).parent / "samples" / "v0.1"
DATA = SAMPLES / "idx"
EXPECTED: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text(encoding="utf-8"))
(FINISHED,) = (SAMPLES / "finished").iterdir()
(INTERRUPTED,) = (SAMPLES / "interrupted").iterdir()
PRUNING: dict[str, Any] = {"macs": 0.6, "round_to": 2, "epochs": 4}
COMPRESSION: dict[str, Any] = {"size": 0.9, "round_to": 2, "epochs": 1, "rounds": 1}
SPACE: dict[str, object] = {"optimizer.lr": [0.001, 0.01, 0.03, 0.1]}

FLOAT, ROUNDED, TRAINED = 1e-5, 1e-2, 1e-2
"""How far a probability may be off: of float nets; of int8 and bf16, which processors add up in
different ways; and of nets that were trained on here, where rounding has grown over some steps."""


def images(name: str = "t10k", folder: Path = DATA) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The images of an IDX file of 16 x 16 pixels."""
    content = gzip.decompress((folder / f"{name}-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 16, 16)


def documents(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def copied(source: Path, place: Path) -> Path:
    """A copy of a sample that may be written to."""
    return Path(shutil.copytree(source, place / source.name))


def command(*words: object) -> Any:
    """What a command prints with ``--json``, without its envelope."""
    done = CliRunner().invoke(cli, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["data"]


def assert_predicts(model: oz.Model, name: str, tolerance: float) -> None:
    """Probabilities are the recorded ones, and so are labels but for near ties."""
    recorded = EXPECTED["predictions"][name]
    expected = np.array(recorded["probabilities"])
    actual = model.predict(images()[: len(expected)])
    np.testing.assert_allclose(actual.probabilities, expected, rtol=0, atol=tolerance)
    second, first = np.sort(expected, axis=1)[:, -2:].T
    clear = first - second > 2 * tolerance
    assert clear.sum() >= 6, "too few images have a clear label to tell anything"
    assert actual.labels[clear].tolist() == np.array(recorded["labels"])[clear].tolist()


@pytest.mark.parametrize("path", [SAMPLES / "recipe.toml", FINISHED / "recipe.toml"], ids=str)
def test_a_recipe_has_the_hash_it_had(path: Path) -> None:
    """A recipe as it was written, and as a run keeps it with all names and defaults."""
    assert command("recipe", "show", path)["hash"] == EXPECTED["recipe_hash"]


def test_the_runs_of_a_recipe_are_found_by_name() -> None:
    """A run's folder is named by recipe, hash and seed, so the name must stay what it was."""
    digits = EXPECTED["recipe_hash"][:12]
    assert FINISHED.name == INTERRUPTED.name == f"sample-{digits}-s0"


def test_a_finished_run_opens() -> None:
    """Record, metrics and recipe are read; nothing is trained when it is to be resumed."""
    run = oz.Run.load(FINISHED)
    assert len(run.metrics) == EXPECTED["epochs"]
    assert run.recipe.budget.epochs == EXPECTED["epochs"]
    outcome = run.outcome
    assert {key: getattr(outcome, key) for key in EXPECTED["outcome"]} == EXPECTED["outcome"]
    assert_predicts(run.model(), "finished", FLOAT)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    """``--resume`` on it gives it back as it is."""
    folder = copied(FINISHED, tmp_path)
    epochs: list[object] = []
    run = oz.train(
        SAMPLES / "recipe.toml",
        data_dir=DATA,
        device="cpu",
        out=tmp_path,
        resume=True,
        on_epoch=epochs.append,
    )
    assert (run.folder, epochs) == (folder, [])


def test_an_interrupted_run_is_resumed(tmp_path: Path) -> None:
    """From the step it was stopped at to the end, where it is what the whole run was."""
    folder = copied(INTERRUPTED, tmp_path)
    before = oz.Run.load(folder).metrics
    assert len(before) == 2
    epochs: list[int] = []
    run = oz.train(
        SAMPLES / "recipe.toml",
        data_dir=DATA,
        device="cpu",
        out=tmp_path,
        resume=True,
        on_epoch=lambda epoch: epochs.append(epoch.epoch),
    )
    assert run.folder == folder
    assert epochs == [3, 4, 5, 6]
    assert run.metrics[:2] == before
    assert len(run.metrics) == EXPECTED["epochs"]
    for key in ("steps", "examples"):
        assert run.record.to_json()["outcome"][key] == EXPECTED["outcome"][key]
    assert_predicts(run.model(), "finished", TRAINED)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("exported", FLOAT),
        ("pruned", FLOAT),
        ("pruned-oraclenet", FLOAT),
        ("int8", ROUNDED),
        ("bf16", ROUNDED),
    ],
)
def test_a_model_folder_predicts_what_it_did(name: str, tolerance: float) -> None:
    """With torch or ONNX Runtime; its receipts are read as well."""
    model = oz.load(SAMPLES / name)
    assert_predicts(model, name, tolerance)
    steps = {"int8": ["export", "quantize"], "exported": ["export"], "bf16": ["quantize"]}
    assert [receipt["step"] for receipt in oz.receipt(SAMPLES / name)] == steps.get(name, ["prune"])


@pytest.mark.parametrize("name", ["exported", "int8"])
def test_a_model_folder_predicts_without_torch(name: str) -> None:
    """The same folder through ONNX Runtime alone, as ``oraclezoo predict`` opens it."""
    recorded = EXPECTED["predictions"][name]["probabilities"]
    actual = oz.predictor(SAMPLES / name, threads=1).predict(images()[: len(recorded)])
    tolerance = FLOAT if name == "exported" else ROUNDED
    np.testing.assert_allclose(actual.probabilities, recorded, rtol=0, atol=tolerance)


def test_a_receipt_is_shown() -> None:
    """By the command, of a model with two of them."""
    done = CliRunner().invoke(cli, ["receipt", str(SAMPLES / "int8")])
    assert done.exit_code == 0, done.output
    assert "export" in done.stdout
    assert "quantize" in done.stdout


def test_an_unfinished_pruning_is_resumed(tmp_path: Path) -> None:
    """From the epoch it was stopped in, with the channels it had chosen."""
    folder = copied(SAMPLES / "unfinished-prune", tmp_path)
    epochs: list[int] = []
    model = oz.prune(
        FINISHED,
        folder,
        data_dir=DATA,
        device="cpu",
        resume=True,
        timed=False,
        results=tmp_path / "results",
        on_epoch=lambda epoch: epochs.append(epoch.epoch),
        **PRUNING,
    )
    assert epochs == [2, 3, 4]
    whole = json.loads((SAMPLES / "pruned" / "model.json").read_text(encoding="utf-8"))
    assert model.card.plan == whole["plan"]
    assert_predicts(model, "pruned", TRAINED)
    assert_predicts(oz.load(folder), "pruned", TRAINED)
    assert not (folder / "pruning").exists(), "what it was resumed from has served"


def test_an_unfinished_compression_is_resumed(tmp_path: Path) -> None:
    """The trial in its journal is not made again: its times are those that were measured then.

    It is the only one that is asked for here; the sample was to have three.
    """
    folder = copied(SAMPLES / "unfinished-compress", tmp_path)
    (known,) = [row for row in documents(journal(folder)) if row["event"] == "trial"]
    model = oz.compress(
        SAMPLES / "exported",
        folder,
        data_dir=DATA,
        device="cpu",
        resume=True,
        results=tmp_path / "results",
        trials=1,
        **COMPRESSION,
    )
    text = json.dumps(oz.receipt(model)[-1])
    assert len(known["candidates"]) == 2
    for candidate in known["candidates"]:
        assert json.dumps(candidate["p50_ms"]) in text
    assert_predicts(oz.load(folder), "int8", ROUNDED)


def journal(folder: Path) -> Path:
    """The one journal in a folder."""
    (journal_file,) = folder.rglob("journal.jsonl")
    return journal_file


def test_the_journal_of_a_sweep_is_resumed_or_refused(tmp_path: Path) -> None:
    """Two trials of four are taken from it; or one line says to choose another ``--out``."""
    folder = copied(SAMPLES / "sweep", tmp_path)
    content = journal(folder).read_bytes()
    rows = documents(journal(folder))
    accuracies = [row["accuracy"] for row in rows if row["event"] == "part"]
    assert len(accuracies) == 2
    try:
        sweep = oz.sweep(
            oz.Recipe.load(SAMPLES / "mlp.toml"),
            SPACE,
            sampler="grid",
            data_dir=DATA,
            device="cpu",
            out=folder,
        )
    except oz.OracleZooError as error:
        (line,) = str(error).splitlines()
        assert str(folder) in line
        assert "--out" in line
        assert journal(folder).read_bytes() == content, "a journal that is refused is left alone"
        return
    assert sweep.complete
    assert len(sweep.trials) == 4
    assert [trial.accuracy for trial in sweep.trials[:2]] == accuracies
    points = {row["trial"]: row["point"] for row in rows if row["event"] == "trial"}
    assert [dict(trial.point) for trial in sweep.trials[:2]] == [points[0], points[1]]


def test_results_are_valid_and_rank_as_they_did() -> None:
    """Two rows, with their predictions and the ledger beside them."""
    results = [oz.Result.load(path) for path in sorted((SAMPLES / "results").glob("*.json"))]
    table = oz.leaderboard(results)
    assert [
        {"recipe": row.recipe, "rank": row.rank, "accuracy_percent": row.accuracy_percent}
        for row in table.rows
    ] == EXPECTED["ranking"]
    assert table.recipes_scored == 2
    assert "mlp-slow" in table.to_markdown()
    (robust,) = [result.robustness for result in results if result.robustness]
    assert robust is not None
    assert len(robust.corruptions) == 10


def test_the_ledger_is_continued(tmp_path: Path) -> None:
    """A third recipe that is scored on the same test split becomes its third line."""
    results = copied(SAMPLES / "results", tmp_path)
    run = copied(FINISHED, tmp_path)
    command("evaluate", run, "--split", "test", "--data-dir", DATA, "--results", results)
    lines = documents(results / "ledger.jsonl")
    assert lines[:2] == documents(SAMPLES / "results" / "ledger.jsonl")
    assert len({line["data_key"] for line in lines}) == 1
    assert [line["recipe_hash"] for line in lines[2:]] == [EXPECTED["recipe_hash"]]
    loaded = [oz.Result.load(path) for path in sorted(results.glob("*.json"))]
    assert oz.leaderboard(loaded).recipes_scored == 3


def test_converted_scans_are_brought_up_to_date(tmp_path: Path) -> None:
    """The folder is known as a conversion's own; what was changed by hand in it is kept."""
    folder, scans = copied(SAMPLES / "converted", tmp_path), copied(SAMPLES / "scans", tmp_path)
    about = folder / "dataset.toml"
    edited = about.read_text(encoding="utf-8").replace("= false", "= true")
    about.write_text(edited, encoding="utf-8")
    report = command("data", "convert", scans, "--out", folder, "--size", 16, "--jobs", 1)
    before = json.loads((SAMPLES / "converted" / "report.json").read_text(encoding="utf-8"))["data"]
    assert report["images"] == before["images"]
    assert report["classes"] == before["classes"]
    assert about.read_text(encoding="utf-8") == edited
    labels = "train-labels-idx1-ubyte.gz"
    assert gzip.decompress((folder / labels).read_bytes()) == gzip.decompress(
        (SAMPLES / "converted" / labels).read_bytes()
    )


@pytest.mark.parametrize(
    ("name", "images", "synthetic"),
    [("glyphs", (20, 2, 2), True), ("converted", (13, 2, 5), False)],
)
def test_a_folder_that_a_command_wrote_is_a_data_set(
    name: str, images: tuple[int, int, int], synthetic: bool
) -> None:
    """Track ``idx`` reads images, classes and facts of generated and of converted characters."""
    record = {
        "glyphs": ("cross", "mouth"),
        "converted": ("moon", "sun"),
    }
    dataset = oz.registry().create("dataset", "idx", data_dir=SAMPLES / name)
    actual = [len(dataset.split(split).images) for split in ("train", "validation", "test")]
    assert tuple(actual) == images
    assert tuple(dataset.classes) == record[name]
    assert dataset.synthetic is synthetic
    assert not dataset.flip_keeps_label


def test_generated_characters_are_verified_by_their_record() -> None:
    """The digests in ``glyphs.json`` are those of the files beside it, as the data set has them."""
    record = json.loads((SAMPLES / "glyphs" / "glyphs.json").read_text(encoding="utf-8"))
    dataset = oz.registry().create("dataset", "idx", data_dir=SAMPLES / "glyphs")
    for split in ("train", "validation", "test"):
        dataset.split(split)
    assert dict(dataset.sha256) == record["files"]
