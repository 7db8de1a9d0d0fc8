"""Compression of a run: selection, receipts, resuming and errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.artifacts.model import CARD, GRAPH, Model
from oraclezoo.card import Backbone
from oraclezoo.errors import InterruptedRunError, UsageError, VerificationError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.search.compress import FOLDER, JOURNAL

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16), dtype=np.uint8)
FIGURES = {"pareto.svg", "pareto.png"}

Compress = Callable[..., Model]


@pytest.fixture(scope="module")
def no_test_images(tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny data set with a corrupt test file."""
    folder = tmp_path_factory.mktemp("no-test")
    for path in tiny_idx.iterdir():
        content = b"not images" if path.name.startswith("t10k-images") else path.read_bytes()
        (folder / path.name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def compress(tiny_run: Path, no_test_images: Path) -> Compress:
    """Compress the tiny run by size, since latencies of so small a network are noise."""

    def run(out: Path | None = None, source: Any = tiny_run, **changes: Any) -> Model:
        quick = {"epochs": 1, "round_to": 2, "trials": 2, "rounds": 1, "device": "cpu"}
        arguments = {"size": 0.5, "max_drop": 60.0, "data_dir": no_test_images}
        return oz.compress(source, out, **{**arguments, **quick, **changes})

    return run


@pytest.fixture(scope="module")
def done(compress: Compress, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    """Return the folder and the model of a finished compression."""
    out = tmp_path_factory.mktemp("compressed") / "out"
    return out, compress(out)


def outcomes(model: Model) -> list[tuple[Any, ...]]:
    """Return every candidate's fields that do not depend on timing."""
    keys = ("trial", "asked", "macs", "precision", "accuracy", "loss", "size_bytes")
    listed = model.card.receipts[-1].options["trials"]
    return [tuple(each[key] for key in keys) for each in listed]


def test_the_chosen_is_the_best_within_the_bounds(done: tuple[Path, Model]) -> None:
    """The receipt lists every candidate with its verdict."""
    receipt = done[1].card.receipts[-1].to_json()
    listed = receipt["options"]["trials"]
    assert {each["trial"] for each in listed} == {1, 2}
    assert [each["precision"] for each in listed] == ["fp32", "int8"] * 2
    for each in listed:
        fits = each["size"] <= 0.5 and -100 * each["difference"] <= 60
        assert each["within"] is fits
        assert bool(each["crossed"]) is not fits
    (chosen,) = (each for each in listed if each["chosen"])
    within = [each for each in listed if each["within"]]
    least = min(within, key=lambda each: each["loss"])
    near = [each for each in within if each["loss"] <= least["loss"] + least["loss_se"]]
    assert chosen in near
    assert chosen["macs"] == max(each["macs"] for each in near)
    assert all(each["loss_se"] > 0 for each in listed[1:])
    assert listed[0]["loss_se"] == 0
    assert receipt["after"]["accuracy"] == chosen["accuracy"]
    assert receipt["after"]["size_bytes"] == chosen["size_bytes"] == len(done[1].onnx or b"")
    assert receipt["before"]["size_bytes"] * chosen["size"] == pytest.approx(chosen["size_bytes"])


def test_receipts_follow_the_steps_and_the_last_is_of_the_whole(done: tuple[Path, Model]) -> None:
    """The last receipt compares with the original float ONNX file, without test images."""
    *steps, whole = done[1].card.to_json()["receipts"]
    names = [receipt["step"] for receipt in steps]
    expected = ["prune", "export", "quantize"]
    assert names == [n for n in expected if n in names]
    assert whole["step"] == "compress"
    assert (whole["before"]["form"], whole["before"]["precision"]) == ("onnx", "fp32")
    assert whole["after"]["precision"] == whole["options"]["precision"]
    assert {row["runtime"] for row in whole["speedups"]} == {"onnxruntime"}
    assert whole["speedups"][0]["batch_size"] == whole["speedups"][0]["threads"] == 1
    assert whole["ratios"]["macs"] == pytest.approx(1 / whole["options"]["macs"])
    assert whole["split"] == "validation"


def test_the_folder_has_model_and_figure_and_none_of_the_work(done: tuple[Path, Model]) -> None:
    """The SVG has no date, so it is reproducible."""
    out = done[0]
    names = {path.name for path in out.iterdir()}
    assert {CARD, GRAPH, "model.safetensors"} <= names
    assert FOLDER not in names
    pytest.importorskip("matplotlib")
    assert names >= FIGURES
    assert "<dc:date>" not in (out / "pareto.svg").read_text()


def test_a_fresh_process_gives_the_same(done: tuple[Path, Model], tmp_path: Path) -> None:
    """A new process loads the int8 graph and the pruned float weights."""
    out, model = done
    np.save(tmp_path / "images.npy", IMAGES)
    code = (
        "import sys, numpy, oraclezoo\n"
        "model = oraclezoo.load(sys.argv[1])\n"
        "images = numpy.load(sys.argv[2])\n"
        "numpy.save(sys.argv[3], model.predict(images).probabilities)\n"
        "bare = type(model)(model.module, model.card)\n"
        "numpy.save(sys.argv[4], bare.predict(images).probabilities)\n"
    )
    files = [out, *(tmp_path / name for name in ("images.npy", "graph.npy", "float.npy"))]
    subprocess.run([sys.executable, "-c", code, *map(str, files)], check=True)
    for name, here in (("graph", model), ("float", Model(model.module, model.card))):
        loaded = np.load(tmp_path / f"{name}.npy")
        assert loaded.tobytes() == here.predict(IMAGES).probabilities.tobytes()


def test_stopped_it_goes_on_and_repeats_no_trial(
    done: tuple[Path, Model], compress: Compress, tmp_path: Path
) -> None:
    """Resuming in the second trial gives the candidates of an uninterrupted search."""
    out, calls = tmp_path / "out", 0

    def should_stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == 5

    with pytest.raises(InterruptedRunError, match="--resume"):
        compress(out, should_stop=should_stop)
    assert {path.name for path in out.iterdir()} == {FOLDER}
    with pytest.raises(UsageError, match="unfinished compression"):
        compress(out)
    with pytest.raises(UsageError, match="different options"):
        compress(out, resume=True, epochs=2)
    kept = (out / FOLDER / JOURNAL).read_text()
    assert [json.loads(line)["event"] for line in kept.splitlines()] == ["compression", "trial"]
    messages: list[str] = []
    resumed = compress(out, resume=True, progress=messages.append)
    assert [line.split()[1] for line in messages if line.startswith("trial")] == ["2"]
    assert outcomes(resumed) == outcomes(done[1])
    with pytest.raises(UsageError, match="already contains a model"):
        compress(out)


def test_nothing_within_the_bounds_writes_no_model_and_keeps_the_work(
    compress: Compress, tmp_path: Path
) -> None:
    """The error names the nearest candidate; looser limits reuse the trials."""
    out, messages = tmp_path / "out", list[str]()
    with pytest.raises(VerificationError, match="nearest is") as error:
        compress(out, size=0.01, trials=1)
    assert "\n" not in str(error.value)
    assert "--size " in str(error.value)
    assert {path.name for path in out.iterdir()} == {FOLDER}
    work = {path.name for path in (out / FOLDER).iterdir()}
    assert {JOURNAL, "trial-1"} <= work
    pytest.importorskip("matplotlib")
    assert work >= FIGURES
    model = compress(out, size=1.0, trials=1, resume=True, progress=messages.append)
    assert not [line for line in messages if line.startswith("trial")]
    assert model.card.receipts[-1].options["size"] == 1.0


def test_a_model_that_cannot_be_pruned_is_quantized_only(
    site: Any, compress: Compress, tiny_run: Path
) -> None:
    """The progress output and the receipt state it."""
    facts = "facts={'prunable': False, 'not_prunable_because': 'it is brittle'}"
    spec = f"Spec('backbone', 'mine', 'oraclezoo.zoo.backbones.lenet:LeNet5', 'x', {facts})"
    site.add("acme", f"@hookimpl\ndef oraclezoo_backbones():\n    return [{spec}]\n")
    registry, messages = build_registry(), list[str]()
    module = registry.create("backbone", "mine", in_chans=1, num_classes=4, image_size=16)
    card = replace(oz.Run.load(tiny_run).model().card, backbone=Backbone("acme:mine", {}))
    model = compress(
        None, Model(module, card), size=1.0, registry=registry, trials=5, progress=messages.append
    )
    receipt = model.card.receipts[-1].to_json()
    assert {each["macs"] for each in receipt["options"]["trials"]} == {1.0}
    assert any("it is brittle; only int8 is tried" in line for line in messages)
    assert receipt["notes"][0].startswith("not pruned: backbone")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"size": None}, "pass a target"),
        ({"size": 1.5}, "size is 1.5"),
        ({"trials": 0}, "trials is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"steps": 2}, "too few for 2 steps"),
        ({"importance": "looks"}, "must be one of"),
        ({"resume": True}, "without a folder"),
    ],
)
def test_wishes_that_mean_nothing(compress: Compress, changes: dict[str, Any], why: str) -> None:
    """Invalid options raise a UsageError before training."""
    with pytest.raises(UsageError, match=why):
        compress(**changes)


def test_what_is_quantized_already_is_refused(compress: Compress, done: tuple[Path, Model]) -> None:
    """An already quantized model has no float file to compare with."""
    _, model = done
    if model.precision == "fp32":
        pytest.skip("the float candidate was the best")
    with pytest.raises(UsageError, match="already int8"):
        compress(source=model)
