"""Receipts: figures from two sides, and notes from the figures."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.artifacts.model import GRAPH, Model
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.card import Calibration, Card
from oraclezoo.card.receipt import LatencyRow
from oraclezoo.contracts import Dataset
from oraclezoo.data.idx import read_idx, write_idx
from oraclezoo.errors import DataError, ResultError, UsageError, VerificationError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.quantization.export import check_parity, export
from oraclezoo.quantization.onnx import quantize
from oraclezoo.ranking import ledger
from oraclezoo.receipts.measurement import Gates, Measurement
from oraclezoo.receipts.receipt import Side, Step, measure, parity, prove, receipt
from oraclezoo.receipts.timing import summarize

REGISTRY = build_registry()
UNTIMED = Measurement(timed=False)


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    """The tiny run's model."""
    return open_model(tiny_run, REGISTRY)


@pytest.fixture(scope="module")
def data(model: Model, tiny_idx: Path) -> Dataset:
    """What it was trained on."""
    return open_data(model, REGISTRY, data_dir=tiny_idx)


@pytest.fixture(scope="module")
def exported(model: Model, tiny_idx: Path) -> Model:
    """The model with its ONNX file, untimed."""
    return export(model, data_dir=tiny_idx, timed=False)


@pytest.fixture(scope="module")
def before(model: Model, data: Dataset) -> Side:
    """The model measured, untimed."""
    return measure(model, data, UNTIMED)


def timed(side: Side, *p50: float, **metrics: Any) -> Side:
    """A side with one latency row in each round."""
    rounds = tuple(
        (LatencyRow("onnxruntime", "fp32", "cpu", 1, 1, 30, value, value, value),) for value in p50
    )
    with_latency = replace(side.metrics, latency=summarize(rounds), **metrics)
    return replace(side, rounds=rounds, metrics=with_latency)


@pytest.mark.slow
@pytest.mark.usefixtures("started_jobs")
def test_a_timed_receipt_of_an_export_has_all_that_the_design_asks(
    model: Model, tiny_idx: Path
) -> None:
    """Accuracy, counts, bytes, latency by runtime and threads, memory, parity, versions."""
    done = export(model, data_dir=tiny_idx, rounds=1, settings=[(1, 1), (4, 1)])
    (entry,) = done.card.to_json()["receipts"]
    json.dumps(entry, allow_nan=False)
    assert (entry["step"], entry["split"], entry["images"]) == ("export", "validation", 16)
    assert [row["runtime"] for row in entry["before"]["latency"]] == ["eager", "eager"]
    rows = entry["after"]["latency"]
    assert [(r["runtime"], r["batch_size"], r["threads"]) for r in rows] == [
        ("onnxruntime", 1, 1),
        ("onnxruntime", 4, 1),
    ]
    assert all(0 < r["p50_ms"] <= r["p95_ms"] and r["repeats"] >= 30 for r in rows)
    peak = entry["after"]["peak_memory_bytes"]["onnxruntime"]
    assert peak < entry["before"]["peak_memory_bytes"]["eager"], "without torch"
    assert entry["parity"]["agreement"] == 1
    assert entry["parity"]["largest_difference"] < 1e-5
    assert entry["ratios"]["macs"] == entry["ratios"]["parameters"] == 1
    assert entry["after"]["size_bytes"] == len(done.onnx or b"")
    assert any("across runtimes" in note for note in entry["notes"])
    assert {"torch", "onnxruntime", "onnx"} <= entry["libraries"].keys()


def test_lost_answers_make_the_difference_and_its_interval(before: Side) -> None:
    """Two of sixteen answers turned wrong: 12.5 points, paired over images."""
    changed = before.probabilities.copy()
    right = np.flatnonzero(before.correct)[:2]
    changed[right] = np.roll(changed[right], 1, axis=1)
    after = before.in_form(changed, form="onnx", file="model.onnx", size_bytes=1)
    entry = receipt("prune", before, after)
    assert entry.accuracy.difference == pytest.approx(-2 / 16)
    assert (entry.accuracy.lost, entry.accuracy.gained) == (2, 0)
    low, high = entry.accuracy.ci95
    assert low < -0.125 < high
    assert entry.after.accuracy == pytest.approx(entry.before.accuracy - 0.125)
    assert entry.parity.disagreeing == 2
    Gates(max_drop=12.5).check(entry)
    with pytest.raises(VerificationError, match=r"prune lost 12\.50 points on 16 validation"):
        Gates(max_drop=12.4).check(entry)
    with pytest.raises(VerificationError, match=r"95% limit of the loss is 2\d\.\d\d points"):
        Gates(max_drop=50, max_limit=20).check(entry)


@pytest.mark.parametrize("refit", [True, False])
def test_images_that_were_trained_on_are_said_to_flatter(
    model: Model, data: Dataset, refit: bool
) -> None:
    """In the receipt of any step, where the model's card says that it was refit."""
    assert model.card.provenance is not None
    card = replace(model.card, provenance=replace(model.card.provenance, refit=refit))
    side = measure(Model(model.module, card), data, UNTIMED)
    entry = receipt("export", side, side)
    assert entry.learned is refit
    assert any("trained on the validation images" in note for note in entry.notes) is refit
    elsewhere = replace(UNTIMED, track="idx-of-another")
    other = measure(Model(model.module, card), data, elsewhere)
    assert not other.learned, "another track's validation images are new to it"


def test_sides_of_different_images_do_not_make_a_receipt(before: Side) -> None:
    """Another split, another track, other labels."""
    others = (
        replace(before, split="test"),
        replace(before, track="glyphs"),
        replace(before, labels=before.labels[::-1].copy()),
    )
    for other in others:
        with pytest.raises(UsageError, match="different images"):
            receipt("prune", before, other)


@pytest.mark.parametrize(
    ("old", "new", "speedup", "words"),
    [
        ((1.0, 1.2), (2.0, 2.5), 0.5, "slower than before .* takes 2.00 times as long"),
        ((1.0, 1.2), (1.0, 0.99), 1.0 / 0.99, "no certain speed-up"),
        ((2.0, 2.2), (1.0, 1.1), 2.0, None),
    ],
)
def test_notes_say_what_did_not_get_faster(
    before: Side, old: tuple[float, ...], new: tuple[float, ...], speedup: float, words: str | None
) -> None:
    """By the fastest rounds, and only if every round agrees."""
    entry = receipt("quantize", timed(before, *old), timed(before, *new))
    (actual,) = entry.speedups
    assert actual.speedup == pytest.approx(speedup)
    assert actual.low <= actual.speedup * 1.2
    messages = [note for note in entry.notes if "speed-up" in note or "slower" in note]
    if words is None:
        assert messages == []
    else:
        assert len(messages) == 1
        import re

        assert re.search(words, messages[0])


def test_notes_say_what_got_larger_noisy_and_generated(before: Side) -> None:
    """And that no change on few images does not rule out rare ones."""
    bigger = timed(before, 1.0, 3.0, size_bytes=before.metrics.size_bytes + 1)
    entry = receipt("export", replace(timed(before, 1.0, 1.0), synthetic=True), bigger)
    notes = "\n".join(entry.notes)
    for part in ("larger than before on disk", "3.0 times between", "generated", "rare changes"):
        assert part in notes


def test_parity_counts_ties_separately() -> None:
    """Two classes closer than a thousandth may swap; others may not."""
    first = np.array([[0.5002, 0.4998], [0.9, 0.1], [0.3, 0.7]], np.float32)
    second = np.array([[0.4998, 0.5002], [0.4, 0.6], [0.3, 0.7]], np.float32)
    actual = parity(first, second)
    assert (actual.disagreeing, actual.ties) == (2, 1)
    assert actual.agreement == pytest.approx(1 / 3)
    assert actual.largest_difference == pytest.approx(0.5)
    with pytest.raises(VerificationError, match="other than ties changed: 1"):
        check_parity(actual, 1.0, "it")
    with pytest.raises(VerificationError, match="largest difference of a probability"):
        check_parity(parity(first, first + np.float32(0.01)), 1e-3, "it")
    check_parity(parity(first, first), 0.0, "it")


def test_a_test_set_evaluation_is_recorded(
    model: Model, data: Dataset, exported: Model, tmp_path: Path
) -> None:
    """Once for a recipe, under the key that a benchmark of these data has."""
    made = prove(
        Step("export", model, exported),
        data,
        Measurement(split="test", results=tmp_path, timed=False),
    )
    assert (made.split, made.images) == ("test", 40)
    (line,) = (tmp_path / ledger.FILE).read_text().splitlines()
    entry = json.loads(line)
    assert entry["track"] == "idx"
    assert entry["recipe_hash"] == model.card.provenance.recipe.hash
    assert len(json.loads(entry["data_key"])) == 4, "training and test files"


def test_the_test_split_is_not_read_otherwise(
    model: Model, tiny_idx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibration, scan and receipt take training and validation images alone."""
    dataset = open_data(model, REGISTRY, data_dir=tiny_idx)
    read: list[str] = []
    whole = type(dataset).split

    def split(self: Any, name: str) -> Any:
        read.append(name)
        return whole(self, name)

    monkeypatch.setattr(type(dataset), "split", split)
    quantize(model, data_dir=tiny_idx, timed=False, sensitivity="always")
    assert set(read) == {"train", "validation"}


def test_other_data_than_it_was_trained_on_is_refused(model: Model, tiny_idx: Path) -> None:
    """Unless a track is named; and its classes and size must be the model's."""
    assert model.card.provenance is not None
    digests = dict.fromkeys(model.card.provenance.data_sha256, "0" * 64)
    origin = replace(model.card.provenance, data_sha256=digests)
    other = Model(model.module, replace(model.card, provenance=origin))
    with pytest.raises(DataError, match="not the file that the model was trained with"):
        open_data(other, REGISTRY, data_dir=tiny_idx)
    assert open_data(other, REGISTRY, track="idx", data_dir=tiny_idx)
    with pytest.raises(UsageError, match="classes, not 4"):
        open_data(model, REGISTRY, track="glyphs-3k")


def test_a_saved_model_keeps_its_graph_and_receipts(exported: Model, tmp_path: Path) -> None:
    """Predictions come from the graph, bit for bit; oz.receipt reads them without loading."""
    folder = exported.save(tmp_path / "m")
    again = oz.load(folder)
    assert again.onnx == exported.onnx
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16), dtype=np.uint8)
    assert np.array_equal(again.predict(images)[1], exported.predict(images)[1])
    assert [entry["step"] for entry in oz.receipt(folder)] == ["export"]
    assert oz.receipt(again) == oz.receipt(folder)
    Model(again.module, again.card).save(folder)
    assert not (folder / GRAPH).exists(), "new weights have no graph"
    assert oz.load(folder).card.onnx is None


@pytest.mark.parametrize("damage", ["truncated", "absent", "other", "renamed"])
def test_a_damaged_graph_is_refused_in_one_line(
    exported: Model, tmp_path: Path, damage: str
) -> None:
    """Cut short, gone, another model's, or one that its card does not describe."""
    folder = exported.save(tmp_path / "m")
    graph = folder / GRAPH
    content = graph.read_bytes()
    if damage == "truncated":
        graph.write_bytes(content[:-100])
    elif damage == "absent":
        graph.unlink()
    elif damage == "other":
        graph.write_bytes(content + b"\0")
    else:
        card = json.loads((folder / "model.json").read_text())
        card["onnx"]["precision"] = "int3"
        (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(ResultError) as caught:
        oz.load(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_an_old_card_without_the_new_entries_loads(model: Model, tmp_path: Path) -> None:
    """No receipts, no graph, no calibration."""
    card = {key: value for key, value in model.card.to_json().items() if key != "receipts"}
    again = oz.load(Model(model.module, Card.from_json(card)).save(tmp_path / "m"))
    assert oz.receipt(again) == []
    assert again.precision == "fp32"


def test_temperature_and_shifts_are_inside_graph_and_eager_alike(
    model: Model, tiny_idx: Path
) -> None:
    """A softer model that averages views agrees with its export, and its answers are softer."""
    steps = replace(model.card.preprocessing, shifts=1)
    card = replace(model.card, preprocessing=steps, calibration=Calibration(3.0))
    soft = Model(model.module, card)
    for preprocess in (True, False):
        done = export(soft, data_dir=tiny_idx, timed=False, preprocess=preprocess)
        (entry,) = done.card.to_json()["receipts"]
        assert entry["parity"]["largest_difference"] < 1e-5
    plain = measure(model, open_data(model, REGISTRY, data_dir=tiny_idx), UNTIMED)
    assert entry["before"]["loss"] != pytest.approx(plain.metrics.loss)


def test_quantizing_states_the_scan_and_refuses_a_second_time(
    exported: Model, tiny_idx: Path, tmp_path: Path
) -> None:
    """Layers with their divergence in the receipt; kept ones are named in a note."""
    small = quantize(
        exported,
        tmp_path / "q",
        data_dir=tiny_idx,
        timed=False,
        images=10,
        sensitivity="always",
        keep_float=["*linear*"],
    )
    entry = small.card.receipts[-1].to_json()
    options = entry["options"]
    assert options["layers"] == len(options["scan"]) == 8
    assert len(options["kept_float"]) == 1
    assert any("1 of 8 layers stay in float" in note for note in entry["notes"])
    assert entry["ratios"]["size_bytes"] > 1.5
    assert small.precision == entry["after"]["precision"] == "int8"
    assert oz.load(tmp_path / "q").predict(np.zeros((1, 16, 16), np.uint8)).labels.shape == (1,)
    with pytest.raises(UsageError, match="already int8"):
        quantize(small, data_dir=tiny_idx)
    for wrong in ({"precision": "int4"}, {"sensitivity": "some"}, {"images": 0}):
        with pytest.raises(UsageError):
            quantize(exported, data_dir=tiny_idx, **wrong)  # type: ignore[arg-type]  # that is tested


def test_the_calibration_is_kept_that_moves_probabilities_least(
    exported: Model, tiny_idx: Path
) -> None:
    """All are tried unless one is named, and the receipt has the divergence of each."""
    arguments: dict[str, Any] = {"data_dir": tiny_idx, "timed": False, "images": 20}
    options = quantize(exported, sensitivity="off", **arguments).card.receipts[-1].options
    tried = options["calibrations"]
    assert list(tried) == ["minmax", "entropy", "percentile"]
    assert options["calibration"] == min(tried, key=tried.__getitem__)
    assert options["divergence"] == min(tried.values()) < max(tried.values())
    worst = max(tried, key=tried.__getitem__)
    quantized = quantize(exported, sensitivity="off", calibration=worst, **arguments)
    options = quantized.card.receipts[-1].options
    assert options["calibration"] == worst
    assert options["calibrations"] == {worst: options["divergence"]} == {worst: tried[worst]}


def test_a_crossed_gate_leaves_no_folder(
    exported: Model, tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half done lies about, neither of an int8 that lost nor of an export that differs."""
    half = copy.deepcopy(exported.module)
    for parameter in half.parameters():
        parameter.data.mul_(-1)
    broken = Model(half, exported.card, exported.onnx)
    monkeypatch.setattr("oraclezoo.quantization.export.graph_of", lambda *a, **k: exported.onnx)
    with pytest.raises(VerificationError, match="does not match eager"):
        export(broken, tmp_path / "e", data_dir=tiny_idx, timed=False)
    assert list(tmp_path.iterdir()) == []


def test_an_int8_model_that_lost_too_much_is_not_written(
    exported: Model, tiny_idx: Path, tmp_path: Path
) -> None:
    """Calibrated on black images it knows no strokes: the gate says what that cost."""
    (black := tmp_path / "black").mkdir()
    images = read_idx(tiny_idx / "train-images-idx3-ubyte.gz")
    labels = read_idx(tiny_idx / "train-labels-idx1-ubyte")
    for name in ("train", "validation", "t10k"):
        write_idx(black / f"{name}-images-idx3-ubyte", images * (name == "validation"))
        write_idx(black / f"{name}-labels-idx1-ubyte", labels)
    with pytest.raises(VerificationError, match=r"quantize lost .* nothing was written"):
        quantize(
            exported,
            tmp_path / "q",
            track="idx",
            data_dir=black,
            timed=False,
            sensitivity="off",
            max_drop=5,
        )
    assert not (tmp_path / "q").exists()
