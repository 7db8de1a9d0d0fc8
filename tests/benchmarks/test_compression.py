"""compression.py: what holds and what does not, a short run of it, and the page that tells it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

Script = Callable[[str], ModuleType]
ROOT = Path(__file__).resolve().parents[2]
PARTS = ("resnet18", "int8", "chain", "mobilenet")


def answers(seeds: int, images: int, wrong: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The first ``wrong`` answers of each seed are wrong."""
    found = np.ones((seeds, images), dtype=bool)
    found[:, :wrong] = False
    return found


def test_a_loss_is_in_points_and_its_limit_a_row_of_its_own(script: Script) -> None:
    """A mean within its bound does not help a limit beyond it."""
    loss_rows = script("_compressing").loss_rows
    before, after = answers(3, 1000, 50), answers(3, 1000, 54)
    mean, limit = loss_rows("x", before, after, 0.5, 0.45)
    assert mean["value"] == pytest.approx(0.4)
    assert mean["holds"]
    assert mean["interval"][0] < 0.4 < mean["interval"][1]
    assert mean["by_seed"] == pytest.approx([0.4] * 3)
    assert limit["value"] > 0.45
    assert not limit["holds"]
    (alone,) = loss_rows("x", before, answers(3, 1000, 60), 0.5)
    assert not alone["holds"]
    assert json.loads(json.dumps(alone)) == alone


def test_a_gain_holds_only_where_it_is_told_from_nothing(script: Script) -> None:
    """A higher mean alone is a tie."""
    gain_row = script("_compressing").gain_row
    assert gain_row("x", answers(3, 1000, 50), answers(3, 1000, 90))["holds"]
    tie = gain_row("x", answers(3, 1000, 50), answers(3, 1000, 51))
    assert tie["value"] > 0
    assert not tie["holds"]


def test_speed_is_that_of_the_calmest_rounds(script: Script) -> None:
    """A disturbed round widens the range and does not change the value."""
    row = script("_compressing").speed_row("x", [4.0, 9.0], [2.0, 2.0], 1.9, (1, 1))
    assert row["value"] == 2
    assert row["interval"] == [2, 4.5]
    assert row["holds"]


def test_weights_of_a_cut_net_are_drawn_for_its_own_width(script: Script) -> None:
    """Half the channels out: twice the variance, by He's rule; the same seed draws the same."""
    redraw = script("_compressing_parts").redraw
    net = torch.nn.Sequential(torch.nn.Conv2d(64, 32, 3))
    redraw(net, 1)
    first = net[0].weight.detach().clone()
    assert first.std() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)
    redraw(net, 1)
    assert torch.equal(first, net[0].weight)


def test_reach_tells_channels_and_outliers(script: Script) -> None:
    """One channel of ten times the others' range leaves those a tenth of the levels."""
    reach = script("_rounding").reach
    values = np.random.default_rng(0).uniform(0, 1, (50, 10, 8, 8)).astype(np.float32)
    even = reach(values)
    assert even["levels_median"] > 250
    assert even["outlier"] < 1.1
    values[:, 0] *= 10
    uneven = reach(values)
    assert 20 < uneven["levels_median"] < 30
    values[0, 1, 0, 0] = 1000
    assert reach(values)["outlier"] > 50


def test_layers_are_told_by_their_form(script: Script) -> None:
    """Depthwise, pointwise, squeeze-and-excitation and head, in a graph of each, one after another.

    And what a graph gives to each, and the same graph with rounded weights, which answers nearly
    as before.
    """
    rounding = script("_rounding")
    graph = mobile_graph()
    images = np.random.default_rng(1).standard_normal((3, 1, 6, 6)).astype(np.float32)
    given = rounding.inputs(graph, {"x": images})
    assert given["x"].shape == (3, 1, 6, 6)
    assert rounding.kinds_of(graph, given) == {
        "first": "full convolution",
        "deep": "depthwise",
        "excite": "squeeze-and-excitation",
        "point": "pointwise",
        "last": "head",
    }
    before, after = (
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, {"x": images})[0]
        for each in (graph, rounding.with_rounded_weights(graph))
    )
    assert not np.array_equal(before, after)
    assert np.abs(before - after).max() < 0.05 * np.abs(before).max()


def mobile_graph() -> onnx.ModelProto:
    """The layers of a mobile net in small."""
    helper, generator = onnx.helper, np.random.default_rng(0)
    shapes = {
        "first": (4, 1, 3, 3),
        "deep": (4, 1, 3, 3),
        "excite": (4, 4, 1, 1),
        "point": (8, 4, 1, 1),
        "last": (2, 8, 1, 1),
    }
    weights = [
        onnx.numpy_helper.from_array(
            generator.standard_normal(shape).astype(np.float32), f"{name}.weight"
        )
        for name, shape in shapes.items()
    ]

    def conv(name: str, given: str, **options: int) -> onnx.NodeProto:
        return helper.make_node("Conv", [given, f"{name}.weight"], [name], name, **options)

    nodes = [
        conv("first", "x"),
        conv("deep", "first", group=4),
        helper.make_node("GlobalAveragePool", ["deep"], ["squeezed"], "squeeze"),
        conv("excite", "squeezed"),
        helper.make_node("Mul", ["deep", "excite"], ["scaled"], "scale"),
        conv("point", "scaled"),
        helper.make_node("GlobalAveragePool", ["point"], ["pooled"], "pool"),
        conv("last", "pooled"),
    ]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", ["n", 1, 6, 6]), ("last", ["n", 2, 1, 1]))
    ]
    graph = helper.make_graph(nodes, "mobile", ends[:1], ends[1:], weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def test_other_parts_of_the_file_are_kept(script: Script, tmp_path: Path) -> None:
    """A repeated measurement replaces its own rows only."""
    compression = script("compression")
    out = tmp_path / "compression.json"
    old = [{"part": part, "claim": f"old {part}"} for part in PARTS]
    data = {"track": "idx", "quick": True, "rows": old, "parts": {p: {"seeds": [0]} for p in PARTS}}
    out.write_text(json.dumps({"data": data}), encoding="utf-8")
    arguments = compression.parse(
        ["--quick", "--track", "idx", "--only", "int8", "--out", str(out)]
    )
    parts = compression.earlier(arguments)
    assert parts["chain"] == {"seeds": [0], "rows": [old[2]]}
    arguments.track = "glyphs-3k"
    assert compression.earlier(arguments) == {}
    with pytest.raises(SystemExit):
        compression.parse(["--only", "resnet19"])


@pytest.mark.slow
@pytest.mark.parametrize("parts", [("int8",), pytest.param(PARTS, marks=pytest.mark.full)])
def test_a_quick_run_takes_every_step_and_the_page_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, ...]
) -> None:
    """Parts on noise: rows of every claim, no path of the machine, and a page that agrees."""
    out = tmp_path / "compression.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "compression.py"), "--quick"]
    command += ["--only", ",".join(parts)]
    done = subprocess.run(
        [*command, "--out", str(out), "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document == json.loads(done.stdout)
    assert document["schema"] == "oraclezoo/compression/1"
    rows = document["data"]["rows"]
    assert list(dict.fromkeys(row["part"] for row in rows)) == list(parts)
    assert {row["unit"] for row in rows} <= {"%", "points", "times"}
    for row in rows:
        kept = row["value"] >= row["bound"] or row["bound_is"] == "at most"
        assert kept or not row["holds"], row
    assert str(tmp_path) not in out.read_text(encoding="utf-8")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    page = pytest.importorskip("measured_compression")
    assert "Not measured yet" in _shown(page, monkeypatch, tmp_path / "nowhere", document)
    shown = _shown(page, monkeypatch, tmp_path, document)
    for row in rows:
        assert row["claim"] in shown
    assert shown.count("| **no** |") == sum(not row["holds"] for row in rows)
    assert ("Not measured yet" in shown) is (parts != PARTS)


def _shown(page: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, document: Any) -> str:
    monkeypatch.setattr(page, "MEASUREMENTS", folder)
    monkeypatch.setattr(page, "read", lambda name: document["data"])
    names = ("pruned", "rounded", "chain", "mobile")
    return "\n".join(getattr(page, f"compression_{name}")() for name in names)
