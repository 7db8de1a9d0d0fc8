"""Compressed variants as rows of a benchmark: made of the same trainings, each measured itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.artifacts.run import Run, folder_name
from oraclezoo.benching.compressed import PRUNED, VariantRequest, VariantRun, compress_run
from oraclezoo.benching.recipe import Progress
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.records import Callbacks
from oraclezoo.errors import InterruptedRunError, ResultError, UsageError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.publish.checks import check
from oraclezoo.publish.reproduce import Rerun, reproduce
from oraclezoo.ranking.load import entry_of
from oraclezoo.ranking.predictions import accuracy_of
from oraclezoo.recipe.resolve import resolve
from oraclezoo.result import Result
from oraclezoo.result.check import validate

REGISTRY = build_registry()
TINY: dict[str, object] = {
    "backbone.name": "lenet5",
    "budget.epochs": 2,
    "budget.batch_size": 16,
    "data.track": "idx",
    "compress.epochs": 1,
}
STEPS = ("int8", "prune50+int8")


def recipe(**changes: object) -> oz.Recipe:
    """The tiny recipe with changes, resolved."""
    arguments = {**TINY, **{key.replace("__", "."): value for key, value in changes.items()}}
    return resolve(oz.Recipe.load("authors-cnn", arguments), REGISTRY)


def bench(
    place: Path, data: Path, *recipes: oz.Recipe, **options: Any
) -> tuple[list[Result], list[tuple[str, str]]]:
    """Benchmark recipes in a place; the results, and what happened to whom, epochs left out."""
    messages: list[tuple[str, str]] = []

    def note(progress: Progress) -> None:
        if progress.event not in ("epoch", "step"):
            messages.append((progress.recipe, progress.event))

    results = oz.bench(
        recipes or (recipe(),),
        data_dir=data,
        seeds=options.pop("seeds", 2),
        device="cpu",
        out=place / "results",
        runs=place / "runs",
        report=options.pop("report", note),
        **options,
    )
    return results, messages


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's results and runs go."""
    return tmp_path_factory.mktemp("variants")


@pytest.fixture(scope="module")
def first(place: Path, tiny_idx: Path) -> tuple[list[Result], list[tuple[str, str]]]:
    """A recipe and two variants of it, benched at once."""
    return bench(place, tiny_idx, compress=STEPS)


def test_each_net_is_trained_once_for_all_variants(
    first: tuple[list[Result], list[tuple[str, str]]], place: Path
) -> None:
    """Two trainings, then each variant of each seed as a job of its own; one pruned net a seed."""
    results, messages = first
    assert [r.recipe.content.get("compress") for r in results] == [
        None,
        {"steps": "int8"},
        {"steps": "prune50+int8", "epochs": 1},
    ]
    names = ["authors-cnn", "authors-cnn (int8)", "authors-cnn (prune50+int8)"]
    jobs = ["start", "done"] * 2 + ["measure", "measured"]
    assert messages == [(name, job) for name in names for job in jobs]
    trained = [path.parent.name for path in sorted((place / "runs").glob("*/run.json"))]
    assert trained == [folder_name(recipe(), seed) for seed in (0, 1)]
    assert len(list((place / "runs").glob(f"*/{PRUNED}/model.json"))) == 2


def test_a_row_rests_on_the_compressed_models_themselves(
    first: tuple[list[Result], list[tuple[str, str]]], place: Path, tiny_idx: Path
) -> None:
    """Its accuracy is that of the folder's ONNX file, its size that of the file."""
    test = REGISTRY.create("dataset", "idx", data_dir=tiny_idx).split("test")
    for result, steps in zip(first[0][1:], STEPS, strict=True):
        variant_recipe = recipe(compress__steps=steps)
        kept = entry_of(result).predictions
        assert kept is not None
        assert result.recipe.hash == variant_recipe.hash
        for score, stored in zip(result.seeds, kept.probabilities, strict=True):
            folder = place / "runs" / folder_name(variant_recipe, score.seed)
            model = oz.load(folder)
            assert model.precision == "int8"
            again = model.predict(test.images).probabilities.astype(np.float16)
            assert np.array_equal(again, stored)
            assert score.accuracy == accuracy_of(again, test.labels)
            receipts = [entry["step"] for entry in oz.receipt(folder)]
            assert receipts == ["prune"] * ("prune50" in steps) + ["export", "quantize"]
            assert all(entry["split"] == "validation" for entry in oz.receipt(folder))
            assert score.validation_accuracy == oz.receipt(folder)[-1]["after"]["accuracy"]
        assert result.model is not None
        size = (place / "runs" / folder_name(variant_recipe, 0) / "model.onnx").stat().st_size
        assert result.model.size_bytes == size
        assert {(r.runtime, r.precision, r.device) for r in result.latency} == {
            ("onnxruntime", "int8", "cpu")
        }


def test_training_and_fine_tuning_count_together(
    first: tuple[list[Result], list[tuple[str, str]]], place: Path
) -> None:
    """Examples, steps and time; what is rounded alone has those of its training."""
    plain, rounded, pruned = first[0]
    assert (plain.examples, rounded.examples, pruned.examples) == (288, 288, 288 + 144)
    assert [r.seeds[0].steps for r in first[0]] == [18, 18, 27]
    assert [s.train_s for s in rounded.seeds] == [s.train_s for s in plain.seeds]
    for before, after in zip(plain.seeds, pruned.seeds, strict=True):
        folder = place / "runs" / folder_name(recipe(compress__steps="prune50+int8"), after.seed)
        (tuned,) = oz.receipt(folder)[0]["options"]["fine_tuned"]
        assert after.train_s == before.train_s + tuned["train_s"]
    assert pruned.model is not None
    assert plain.model is not None
    assert pruned.model.macs <= 0.5 * plain.model.macs
    assert {row.runtime for row in plain.latency} == {"eager", "onnxruntime"}


def test_what_a_submission_is_checked_for_holds(
    first: tuple[list[Result], list[tuple[str, str]]],
) -> None:
    """The budget is that of training and fine-tuning, and the recipe reads as it is stated."""
    for result in first[0]:
        assert result.path is not None
        actual = {each.rule: each.ok for each in check(result.path, REGISTRY).findings}
        assert [actual[rule] for rule in ("schema", "name", "predictions", "recipe")] == [True] * 4
        assert (actual["budget"], actual["ledger"]) == (True, True)


def test_rows_of_one_recipe_can_be_told_apart(
    first: tuple[list[Result], list[tuple[str, str]]],
) -> None:
    """By id, and by name in every form of the table; each is a look at the test images."""
    assert len({result.id for result in first[0]}) == 3
    table = oz.leaderboard(first[0])
    assert {row.label for row in table.rows} == {
        "authors-cnn",
        "authors-cnn (int8)",
        "authors-cnn (prune50+int8)",
    }
    assert "authors-cnn (prune50+int8)" in table.to_markdown()
    assert "prune50+int8" in table.to_csv()
    assert table.recipes_scored == 3


def test_asked_again_nothing_is_made_again(
    first: tuple[list[Result], list[tuple[str, str]]], place: Path, tiny_idx: Path
) -> None:
    """A compressed recipe alone gives its one row, from what is kept of it and of its net."""
    requested = recipe(compress__steps="prune50+int8")
    (again,), messages = bench(place, tiny_idx, requested)
    assert messages == [
        *[("authors-cnn", "kept")] * 2,
        *[("authors-cnn (prune50+int8)", "kept")] * 2,
        *[("authors-cnn (prune50+int8)", job) for job in ("measure", "measured")],
    ]
    assert [s.accuracy for s in again.seeds] == [s.accuracy for s in first[0][2].seeds]
    (_, pruned), messages = bench(place, tiny_idx, compress="prune50", seeds=1)
    assert next(event for name, event in messages if name == "authors-cnn (prune50)") == "start"
    assert pruned.seeds[0].train_s == first[0][2].seeds[0].train_s, "the pruned net is shared"
    assert {row.precision for row in pruned.latency} == {"fp32"}


def test_a_variant_of_another_training_is_made_anew(
    first: tuple[list[Result], list[tuple[str, str]]],
    place: Path,
    tiny_idx: Path,
) -> None:
    """One that was made of other weights does not stand for one made of these."""
    requested = recipe(compress__steps="int8")
    variant = VariantRun(place / "runs" / folder_name(requested, 0))
    before = variant.record.provenance.source
    assert before is not None
    other = dataclasses.replace(before, weights_sha256="0" * 64)
    origin = dataclasses.replace(variant.record.provenance, source=other)
    variant.write(dataclasses.replace(variant.record, provenance=origin))
    _, messages = bench(place, tiny_idx, requested, seeds=1)
    assert ("authors-cnn (int8)", "done") in messages
    assert variant.record.provenance.source == before


def test_a_stopped_fine_tuning_goes_on(
    first: tuple[list[Result], list[tuple[str, str]]], place: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """What was fine-tuned is kept, and the outcome is that of one that was not stopped."""
    run = Run(place / "runs" / folder_name(recipe(), 0))
    requested = recipe(compress__steps="prune50+int8", compress__epochs=3)
    execution = Execution(data_dir=tiny_idx, device="cpu")
    request = VariantRequest(requested, 0, tmp_path / "whole", execution)
    whole = compress_run(run, request, REGISTRY, Callbacks())
    request = dataclasses.replace(request, runs=tmp_path / "cut")
    epochs: list[int] = []
    count = Callbacks(
        on_epoch=lambda epoch: epochs.append(epoch.epoch),
        should_stop=lambda: len(epochs) == 2,
    )
    with pytest.raises(InterruptedRunError):
        compress_run(run, request, REGISTRY, count)
    cut = VariantRun(tmp_path / "cut" / folder_name(requested, 0))
    assert cut.record.status == "interrupted"
    with pytest.raises(ResultError, match="not done"):
        cut.check()
    variant = compress_run(
        run,
        dataclasses.replace(request, resume=True),
        REGISTRY,
        dataclasses.replace(count, should_stop=lambda: False),
    )
    assert epochs == [1, 2, 3]
    assert variant.outcome.examples == (2 + 3) * 144
    assert (variant.folder / "model.onnx").read_bytes() == (
        whole.folder / "model.onnx"
    ).read_bytes()


def test_a_failure_is_recorded_and_the_others_go_on(place: Path, tiny_idx: Path) -> None:
    """A net that cannot be pruned is a failure with its reason; its other rows are there."""
    whole = recipe(backbone__name="bilinear_cnn", name="whole")
    results, messages = bench(place, tiny_idx, whole, compress=["prune50", "int8"], seeds=1)
    plain, pruned, rounded = results
    assert plain.seeds
    assert rounded.seeds
    assert not pruned.seeds
    assert [failure.reason for failure in pruned.failures] == ["error"]
    assert "not to be prunable" in pruned.failures[0].message
    assert ("whole (prune50)", "failed") in messages
    assert "whole (prune50)" in oz.leaderboard(results).to_markdown()


def test_a_training_that_failed_leaves_nothing_to_compress(place: Path, tiny_idx: Path) -> None:
    """Its variant fails with the training's reason."""
    wild = recipe(name="wild", optimizer__lr=100.0, optimizer__weight_decay=1.0, budget__epochs=10)
    results, _ = bench(place, tiny_idx, wild, compress="int8", seeds=1)
    assert [f.reason for result in results for f in result.failures] == ["diverged", "diverged"]
    assert "no model to compress" in results[1].failures[0].message


def test_fine_tuning_counts_for_the_division(
    first: tuple[list[Result], list[tuple[str, str]]], place: Path, tiny_idx: Path
) -> None:
    """A closed recipe stays so as int8; pruned it does as long as its epochs are 50 in all."""
    assert [result.track.division for result in first[0]] == ["closed"] * 3
    long = recipe(name="long", compress__steps="prune50", compress__epochs=49)
    (over,), _ = bench(place, tiny_idx, long, seeds=1)
    assert (over.examples, over.track.division) == (51 * 144, "open")
    document = over.to_json_dict()
    document["track"]["division"] = "closed"
    with pytest.raises(ResultError, match="the closed division allows"):
        validate(document)
    document = first[0][2].to_json_dict()
    document["recipe"]["content"]["compress"]["distill"] = 0.5
    document["recipe"]["hash"] = dataclasses.replace(
        recipe(compress__steps="prune50+int8"),
        compress=dataclasses.replace(recipe(compress__steps="prune50+int8").compress, distill=0.5),
    ).hash
    with pytest.raises(ResultError, match="fine-tuning uses distillation"):
        validate(document)


def test_a_compressed_row_is_reproduced(
    first: tuple[list[Result], list[tuple[str, str]]], tiny_idx: Path
) -> None:
    """From its recipe alone: trained, pruned, fine-tuned, rounded and scored as before."""
    path = first[0][2].path
    assert path is not None
    record, _ = reproduce(path, Rerun(seeds=1, data_dir=tiny_idx, device="cpu"))
    assert record.verdict == "same"
    assert [pair.answers_changed for pair in record.seeds] == [0]


def test_accuracy_alone_and_corruptions_work_for_variants(tiny_idx: Path, tmp_path: Path) -> None:
    """Such a row has no times; the corrupted images are read by the compressed model."""
    results, _ = bench(tmp_path, tiny_idx, compress="int8", accuracy_only=True, robust=True, jobs=2)
    assert [len(result.seeds) for result in results] == [2, 2]
    assert all(score.train_s is None for result in results for score in result.seeds)
    assert results[1].latency == ()
    assert results[1].robustness is not None
    assert results[1].model is not None


def test_training_a_compressed_recipe_trains_its_net(tiny_idx: Path, tmp_path: Path) -> None:
    """The run is that of the recipe without it, and it is said what bench would do."""
    messages: list[str] = []
    run = oz.train(
        recipe(compress__steps="int8"),
        data_dir=tiny_idx,
        device="cpu",
        out=tmp_path,
        progress=messages.append,
    )
    assert run.folder.name == folder_name(recipe(), 0)
    assert any("int8" in line for line in messages)


def test_a_wrong_variant_is_refused_before_anything_is_trained(
    tiny_idx: Path, tmp_path: Path
) -> None:
    """The text is read first."""
    with pytest.raises(UsageError, match="unknown step 'int4'"):
        bench(tmp_path, tiny_idx, compress=["int4"])
    assert list(tmp_path.iterdir()) == []


def test_making_a_variant_never_reads_the_test_split(
    first: tuple[list[Result], list[tuple[str, str]]], place: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """Its file is broken, and the net is pruned, tuned and rounded all the same."""
    data = tmp_path / "data"
    data.mkdir()
    for path in tiny_idx.iterdir():
        content = b"not images" if path.name.startswith("t10k-images") else path.read_bytes()
        (data / path.name).write_bytes(content)
    run, requested = (
        Run(place / "runs" / folder_name(recipe(), 0)),
        recipe(compress__steps="prune40"),
    )
    execution = Execution(data_dir=data, device="cpu")
    request = VariantRequest(requested, 0, tmp_path / "runs", execution)
    variant = compress_run(run, request, REGISTRY, Callbacks())
    assert variant.record.status == "done"
    assert len(variant.record.provenance.data_sha256) == 2, "the test files were not read"
    assert not list(tmp_path.rglob("ledger.jsonl"))
