"""Quantization for PyTorch: card entry, receipt and float weights.

Everything runs on the CPU; tests that need CUDA are marked.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import oraclezoo as oz
from oraclezoo.artifacts.build import build_backbone
from oraclezoo.artifacts.model import CARD, WEIGHTS, Model
from oraclezoo.artifacts.resolve import open_model
from oraclezoo.card import Backbone, Preprocessing
from oraclezoo.card.receipt import GateEntry
from oraclezoo.cli._shared.receipt import receipt_text
from oraclezoo.compression.torch_form import Form
from oraclezoo.errors import ResultError, UsageError, VerificationError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.pruning.prune import prune
from oraclezoo.quantization.export import export
from oraclezoo.quantization.onnx import quantize
from oraclezoo.quantization.temperature import calibrate
from oraclezoo.quantization.torch import _coverage, _try
from oraclezoo.serving.predictor import Predictor
from oraclezoo.storage import LOCK

REGISTRY = build_registry()
CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16), dtype=np.uint8)

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    """Return the tiny run's float32 model."""
    return open_model(tiny_run, REGISTRY)


@pytest.fixture(scope="module")
def half(model: Model, tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the bf16 model, untimed."""
    out = tmp_path_factory.mktemp("half") / "m"
    options: Any = {"backend": "torch", "precision": "bf16", "device": "cpu", "timed": False}
    quantize(model, out, data_dir=tiny_idx, **options)
    return out


def test_a_folder_has_float_weights_and_an_entry(model: Model, half: Path) -> None:
    """The file holds float32 weights only; predictions are those of the form."""
    assert {path.name for path in half.iterdir()} - {LOCK} == {CARD, WEIGHTS}
    again = oz.load(half)
    weights = again.module.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in model.module.state_dict().items())
    assert again.precision == "bf16"
    assert again.card.form["precision"] == "bf16"
    actual, expected = again.predict(IMAGES).probabilities, model.predict(IMAGES).probabilities
    assert actual.dtype == np.float32
    assert not np.array_equal(actual, expected)
    assert np.abs(actual - expected).max() < 0.05
    assert np.array_equal(actual, again.predict(IMAGES).probabilities)


def test_its_receipt_holds_float_in_torch_against_it(half: Path) -> None:
    """The receipt compares with float32 in PyTorch on the same device."""
    (receipt,) = oz.receipt(half)
    json.dumps(receipt, allow_nan=False)
    assert receipt["step"] == "quantize"
    assert (receipt["before"]["form"], receipt["before"]["precision"]) == ("torch", "fp32")
    assert (receipt["after"]["form"], receipt["after"]["precision"]) == ("torch", "bf16")
    assert receipt["ratios"]["size_bytes"] == receipt["ratios"]["macs"] == 1
    assert 0 < receipt["parity"]["largest_difference"] < 0.05
    report = receipt["options"]
    assert (report["backend"], report["device"], report["compiled"]) == ("torch", "cpu", False)
    assert any("stay float32 on disk" in note for note in receipt["notes"])


@pytest.mark.slow
def test_times_are_torchs_on_that_device(model: Model, tiny_idx: Path) -> None:
    """Both models are timed in eager mode, each in its precision and in a separate process."""
    done = quantize(
        model,
        backend="torch",
        precision="bf16",
        device="cpu",
        data_dir=tiny_idx,
        rounds=1,
        settings=[(1, 1), (4, 1)],
    )
    (receipt,) = done.card.to_json()["receipts"]
    for side, precision in (("before", "fp32"), ("after", "bf16")):
        rows = receipt[side]["latency"]
        assert [(row["runtime"], row["batch_size"]) for row in rows] == [("eager", 1), ("eager", 4)]
        assert {(row["precision"], row["device"]) for row in rows} == {(precision, "cpu")}
        assert receipt[side]["peak_memory_bytes"]["eager"] > 0
        assert "compile_s" not in receipt[side]
    assert [row["runtime"] for row in receipt["speedups"]] == ["eager", "eager"]


def test_int8_says_how_little_it_covers(model: Model, tiny_idx: Path, tmp_path: Path) -> None:
    """For a CNN, the first note says that int8 covers only the classifier."""
    pytest.importorskip("torchao")
    options: Any = {"backend": "torch", "device": "cpu", "timed": False, "data_dir": tiny_idx}
    done = quantize(model, tmp_path / "m", **options)
    (receipt,) = done.card.to_json()["receipts"]
    report = receipt["options"]
    assert (report["int8_layers"], report["layers"]) == (1, 8)
    assert 0 < report["int8_macs_share"] < 0.01
    assert receipt["notes"][0].startswith("int8 covers 1 of 8 layers, the linear ones, with 0.")
    assert receipt["notes"][0].endswith("the rest is fp32")
    again = oz.load(tmp_path / "m")
    assert again.precision == "int8"
    actual = again.predict(IMAGES).probabilities
    assert np.array_equal(actual, done.predict(IMAGES).probabilities)
    assert not np.array_equal(actual, model.predict(IMAGES).probabilities)


def test_a_folder_of_int8_opens_without_torchao(model: Model, tmp_path: Path) -> None:
    """torchao is slow to import; only predicting imports it."""
    versions = {"torch": "2.9", "torchao": "0.18"}
    folder = model.with_form(Form("int8", "fp32", "off", versions)).save(tmp_path / "m")
    code = (
        "import sys, oraclezoo as oz\n"
        "sys.modules['torchao'] = None\n"
        f"model = oz.load({str(folder)!r})\n"
        "print(model.precision)\n"
        "import numpy as np\n"
        "try:\n    model.predict(np.zeros((1, 16, 16), np.uint8))\n"
        "except oz.errors.UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("int8\nint8 with torch needs torchao")


def test_int8_of_a_net_without_a_linear_layer_is_refused(model: Model) -> None:
    """int8 would cover nothing of such a network."""
    pytest.importorskip("torchao")
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    with pytest.raises(UsageError, match="no linear layer"):
        _coverage(Model(net, model.card), Form.make("int8", "off", CPU))


def test_a_net_that_does_not_run_in_a_form_is_refused_with_the_reason(model: Model) -> None:
    """For instance, a network that creates float32 tensors itself."""

    class Mixes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(256, 4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.head(images.flatten(1).float())
            return logits

    mixed = Model(Mixes(), model.card).with_form(Form.make("bf16", "off", CPU))
    with pytest.raises(UsageError, match="does not run in bf16 on cpu: RuntimeError"):
        _try(mixed, CPU)


def test_steps_that_change_weights_take_the_float_ones(
    model: Model, half: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """Such steps start from the float weights and remove the card's entry."""
    plain: Any = {"data_dir": tiny_idx, "timed": False}
    graph = export(half, tmp_path / "e", **plain)
    receipt = graph.card.receipts[-1].to_json()
    assert (receipt["before"]["precision"], receipt["parity"]["largest_difference"] < 1e-5) == (
        "fp32",
        True,
    )
    cut = prune(half, tmp_path / "p", macs=0.9, epochs=0, **plain)
    small = quantize(half, sensitivity="off", images=10, **plain)
    assert small.precision == "int8"
    assert small.onnx
    again = quantize(half, backend="torch", precision="fp16", device="cpu", **plain)
    assert again.card.form["precision"] == "fp16"
    assert again.card.receipts[-1].before.precision == "fp32"
    opened = oz.load(half)
    assert opened.card.provenance is not None
    provenance = replace(opened.card.provenance, refit=False)
    opened = Model(opened.module, replace(opened.card, provenance=provenance), form=opened.form)
    warm = calibrate(opened, data_dir=tiny_idx)
    for done in (graph, cut, small):
        assert done.card.form is None
    assert warm.form == opened.form  # only the probabilities change
    assert [oz.load(tmp_path / name).form for name in "ep"] == [None, None]
    with pytest.raises(UsageError, match="has a quantized model"):
        export(half, half, **plain)


def test_a_graph_makes_way_for_a_form(model: Model, tiny_idx: Path, tmp_path: Path) -> None:
    """Quantizing an int8 model for PyTorch uses its float weights and drops the ONNX file."""
    plain: Any = {"data_dir": tiny_idx, "timed": False}
    small = quantize(model, tmp_path / "m", sensitivity="off", images=10, **plain)
    done = quantize(small, tmp_path / "m", backend="torch", precision="bf16", device="cpu", **plain)
    assert done.precision == oz.load(tmp_path / "m").precision == "bf16"
    assert not (tmp_path / "m" / "model.onnx").exists()
    assert done.card.onnx is None


@pytest.mark.parametrize("damage", ["unknown", "both", "none"])
def test_a_card_with_a_bad_entry_is_refused(half: Path, tmp_path: Path, damage: str) -> None:
    """The one-line error names the folder."""
    folder = Path(shutil.copytree(half, tmp_path / "m"))
    card = json.loads((folder / CARD).read_text())
    if damage == "unknown":
        card["form"]["precision"] = "int4"
    elif damage == "none":
        card["form"] = "bf16"
    else:
        (folder / "model.onnx").write_bytes(b"")
        card["onnx"] = {"file": "model.onnx", "precision": "fp32"}
        card["onnx"]["sha256"] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(ResultError, match="entr") as caught:
        oz.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gates_hold_and_leave_nothing(
    model: Model, tiny_idx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model beyond a gate is not written; one within it records the gates."""
    options: Any = {"backend": "torch", "precision": "bf16", "device": "cpu", "timed": False}
    options |= {"data_dir": tiny_idx}
    done = quantize(model, tmp_path / "fine", max_drop=100, max_limit=100, **options)
    assert done.card.receipts[-1].gates == GateEntry(100, 100)
    broken = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))
    monkeypatch.setattr(Form, "applied", lambda self, net: broken)
    with pytest.raises(VerificationError, match=r"quantize lost .* nothing was written"):
        quantize(model, tmp_path / "m", max_drop=5, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["fine"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"backend": "torch", "reduce_range": True}, "torch does not support reduce_range"),
        ({"backend": "torch", "images": 3, "keep_float": ["a"]}, "not support images, keep_float"),
        ({"device": "cpu", "compile": "on"}, "onnxruntime does not support device, compile"),
        ({"precision": "bf16"}, "bf16 requires backend torch"),
        ({"backend": "jax"}, "backend is 'jax'"),
        ({"backend": "torch", "precision": "int3"}, "precision is 'int3'"),
        ({"backend": "torch", "device": "tpu"}, "device 'tpu' is not one of"),
    ],
)
def test_options_of_the_other_backend_are_refused(
    model: Model, tiny_idx: Path, options: dict[str, Any], says: str
) -> None:
    """No option is ignored silently."""
    with pytest.raises(UsageError, match=says):
        quantize(model, data_dir=tiny_idx, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_told(model: Model, tiny_idx: Path) -> None:
    """The device is checked before any work."""
    with pytest.raises(UsageError, match="device 'cuda' is not available"):
        quantize(model, backend="torch", device="cuda", precision="bf16", data_dir=tiny_idx)


def test_serving_without_torch_says_what_the_model_is_for(half: Path) -> None:
    """The error explains how to export an ONNX file."""
    with pytest.raises(ResultError, match=r"bf16 for PyTorch.*oraclezoo export"):
        Predictor(half)


def test_a_shipped_model_opens_by_its_name() -> None:
    """The card's entries for the published files do not carry over to the new form."""
    opened = open_model("oraclenet_s", REGISTRY)
    assert opened.card.extra["name"] == "oraclenet_s"
    with pytest.raises(ResultError, match="or the name of a model"):
        open_model("nothing-here", REGISTRY)


@pytest.fixture
def simple(model: Model) -> Model:
    """Replace the model by an untrained MLP, which compiles quickly."""
    options, steps = {"hidden": 16, "depth": 1}, model.card.preprocessing
    card = replace(
        model.card,
        backbone=Backbone("oraclezoo:mlp", options),
        preprocessing=Preprocessing(steps.mean, steps.std),
    )
    return Model(build_backbone(REGISTRY, "mlp", options, asdict(card.input)), card)


def test_without_a_compiler_there_is_advice(
    simple: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line states the reason if compilation was requested and fails."""
    import torch._inductor.config as settings

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    result = simple.with_form(Form.make("fp16", "on", CPU))
    with (
        settings.patch({"cpp.cxx": (str(tmp_path / "no-compiler"),)}),
        pytest.raises(UsageError, match=r"fp16 on cpu, compiled: .*; try --compile off"),
    ):
        _try(result, CPU)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
def test_what_compiling_brings_is_told_apart(simple: Model, tiny_idx: Path) -> None:
    """The receipt times eager and compiled float32 separately from the compiled form."""
    options: Any = {"backend": "torch", "precision": "bf16", "device": "cpu", "data_dir": tiny_idx}
    done = quantize(simple, compile="on", rounds=1, settings=[(1, 1)], **options)
    receipt = done.card.receipts[-1].to_json()
    rows = {side: receipt[side]["latency"] for side in ("before", "after")}
    assert [row["runtime"] for row in rows["before"]] == ["eager", "compiled"]
    assert [(row["runtime"], row["precision"]) for row in rows["after"]] == [("compiled", "bf16")]
    (speed,) = receipt["speedups"]
    assert speed["runtime"] == speed["from_runtime"] == "compiled"
    assert (
        receipt["before"]["compile_s"].keys()
        == receipt["after"]["compile_s"].keys()
        == {"compiled"}
    )
    assert sum("torch.compile alone" in note for note in receipt["notes"]) == 1
    assert receipt["options"]["compiled"] is True
    assert "compilation, compiled" in receipt_text(done.card.receipts[-1])
    plain = simple.with_form(Form.make("bf16", "off", CPU))
    actual = done.predict(IMAGES).probabilities
    assert np.abs(actual - plain.predict(IMAGES).probabilities).max() < 0.05


@pytest.mark.gpu
@pytest.mark.slow
@cuda
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_on_cuda_all_is_measured_there(model: Model, tiny_idx: Path, precision: str) -> None:
    """Scores, times, memory and hardware are the GPU's; the returned model is on the CPU."""
    if precision == "int8":
        pytest.importorskip("torchao")
    done = quantize(
        model,
        backend="torch",
        precision=precision,
        device="cuda",
        compile="off",
        data_dir=tiny_idx,
        rounds=1,
        settings=[(1, 1), (64, 1)],
    )
    (receipt,) = done.card.to_json()["receipts"]
    assert receipt["hardware"]["device"] == torch.cuda.get_device_name()
    rows = receipt["before"]["latency"] + receipt["after"]["latency"]
    assert {(row["runtime"], row["device"]) for row in rows} == {("eager", "cuda")}
    for side in ("before", "after"):
        assert receipt[side]["peak_device_memory_bytes"]["eager"] > 0
    assert receipt["parity"]["largest_difference"] > 0
    assert any("TF32" in note for note in receipt["notes"])
    assert "device memory, eager" in receipt_text(done.card.receipts[-1])
    assert next(done.module.parameters()).device.type == "cpu"
    assert np.abs(done.predict(IMAGES).probabilities.sum(1) - 1).max() < 1e-3


@pytest.mark.gpu
@pytest.mark.slow
@cuda
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_form_compiled_on_cuda_predicts_any_number_of_images(
    model: Model, precision: str
) -> None:
    """Predictions are close to float32 for one image and for several."""
    if precision == "int8":
        pytest.importorskip("torchao")
    form = Form.make(precision, "auto", torch.device("cuda"))
    result = Model(copy.deepcopy(model.module), model.card).with_form(form).to("cuda")
    for count in (1, 3, 1):
        actual = result.predict(IMAGES[:count]).probabilities
        expected = model.predict(IMAGES[:count]).probabilities
        assert np.abs(actual - expected).max() < 0.05
