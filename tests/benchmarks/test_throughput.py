"""throughput.py: contenders, rows, ratios, and a short run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from oraclezoo.errors import OracleZooError

Script = Callable[[str], ModuleType]
ROOT = Path(__file__).resolve().parents[2]
SHARED = {"device": "cpu", "threads": 1, "precision": "fp32", "data": "d", "workers": 0}
SHARED |= {"channels_last": False, "augmented": False, "compile": "off"}


def parsed(script: Script, *words: str) -> Any:
    """Return the options for a machine without a GPU, with or without Lightning."""
    return script("throughput").parse(["--device", "cpu", "--no-lightning", *words])


def test_rivals_meet_the_engine_at_its_batch(script: Script) -> None:
    """Model, batch size and precision are equal; layout and augmentation are the engine's."""
    throughput = script("throughput")
    arguments = parsed(script)
    arguments.no_lightning = False
    roles = throughput.line_up("mobilenetv3_small_100", SHARED, arguments)
    assert set(roles) == {
        "lightning",
        "dataloader",
        "engine",
        "engine bare",
        "engine bf16",
        "engine best",
        "peak",
    }
    for role in ("lightning", "dataloader", "engine", "engine bare"):
        assert {each["batch_size"] for each in roles[role]} == {32}
        assert {each["precision"] for each in roles[role]} == {"fp32"}
    for role in ("lightning", "dataloader"):
        assert {each["workers"] for each in roles[role]} == {0, 2}
        assert not any(each["channels_last"] or each["augmented"] for each in roles[role])
    assert roles["engine"][0]["augmented"]
    assert not roles["engine bare"][0]["augmented"]
    looked_at = {(each["batch_size"], each["channels_last"]) for each in roles["engine best"]}
    assert looked_at == {(size, last) for size in (64, 128, 256, 512) for last in (True, False)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--models", "oraclenot"), "unknown model oraclenot"),
        (("--rounds", "0"), "at least 1"),
        (("--batches", "64,many"), "not a comma-separated list"),
        (("--batches", "4096"), "at least 4096"),
    ],
)
def test_wrong_options_are_told(
    script: Script, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """They are rejected before measuring, with exit status 2."""
    with pytest.raises(SystemExit) as stopped:
        parsed(script, *words)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_without_lightning_it_says_how_to_get_it(
    script: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error also names the option that omits it."""
    throughput = script("throughput")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        throughput.parse(["--device", "cpu"])
    message = capsys.readouterr().err
    assert "pip install lightning" in message
    assert "--no-lightning" in message


def rows(script: Script, model: str, rates: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Return the rows of a model whose peak is 100 GFLOP/s."""
    throughput, measured = script("throughput"), script("_measured")
    setting = SHARED | {"model": model, "way": "engine", "batch_size": 32}
    facts = {"first_step_s": 1.0, "flops_per_image": 2e7}
    last = {"peak_memory_bytes": 5}
    peak = measured.spread([100.0, 100.0, 100.0])
    return [
        throughput.row(model, role, setting, facts, turns, last, peak)
        for role, turns in rates.items()
    ]


def test_ratios_and_shares_are_those_of_the_rows(script: Script) -> None:
    """Each ratio is a quotient of two rows; omitted models have none."""
    throughput = script("throughput")
    mobile = {"lightning": [10, 20, 30], "engine": [40, 60, 70], "engine best": [100, 100, 90]}
    group = {"rows": rows(script, "mobilenetv3_small_100", mobile), "tried": []}
    group |= {"model": "mobilenetv3_small_100", "peak": {}, "profile": {}}
    data = throughput.document([group], {}, parsed(script))
    assert data["ratio_lightning_same_batch"] == 3.0
    assert data["ratio_lightning_best"] == 5.0
    assert data["ratios"]["ratio_lightning_best"] == {"value": 5.0, "min": 3.0, "max": 10.0}
    assert data["ratio_plain_house_net"] is None
    assert data["flops_share_of_peak"] is None
    best = data["rows"][-1]
    assert best["gflops_per_s"]["median"] == 2.0  # 100 images/s of 20 MFLOP
    assert best["share_of_peak"]["value"] == 0.02


def test_the_account_of_a_profile_adds_up(script: Script) -> None:
    """Shares by kind add up to one; the share of peak covers arithmetic only."""
    throughput = script("throughput")
    operations = [
        ["aten::mkldnn_convolution", 3.0],
        ["aten::convolution_backward", 2.0],
        ["aten::convolution_backward (depthwise)", 1.0],
        ["aten::native_batch_norm", 2.0],
        ["aten::gelu", 1.0],
        ["aten::grid_sampler_2d", 0.5],
        ["something else", 0.5],
    ]
    turn = {"operations": operations, "seconds": 12.5, "per_s": 80.0}
    result = throughput.account(turn, {"value": 0.3})
    assert result["shares"] == {
        "convolution": 0.5,
        "normalization": 0.2,
        "depthwise convolution": 0.1,
        "pointwise": 0.1,
        "augmentation": 0.05,
        "other": 0.05,
    }
    assert result["us_per_image"]["convolution"] == 5000.0  # 5 s over 1,000 images
    assert result["busy_share"] == 0.8
    assert result["arithmetic_share_of_peak"] == 0.5
    assert result["operations"][0] == ["aten::mkldnn_convolution", 0.3]
    assert throughput.account(turn, None)["arithmetic_share_of_peak"] is None
    unseen = throughput.account(turn | {"operations": []}, {"value": 0.3})
    assert unseen["busy_share"] == 0
    assert unseen["arithmetic_share_of_peak"] is None


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::addmm", "matrix products"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32", "matrix products"),
        ("aten::max_pool2d_with_indices_backward", "pooling"),
        ("aten::native_batch_norm_backward", "normalization"),
        ("aten::_foreach_add_", "optimizer"),
        ("aten::add_", "pointwise"),
        ("aten::hardswish_backward", "pointwise"),
        ("aten::copy_", "copies"),
        ("Memcpy HtoD (Pageable -> Device)", "copies"),
        ("aten::upsample_bicubic2d", "augmentation"),
    ],
)
def test_operations_have_a_kind(script: Script, operation: str, kind: str) -> None:
    """Kernels have different names on the CPU and on a GPU."""
    assert script("throughput").kind_of(operation) == kind


def test_arithmetic_is_counted_with_groups(script: Script) -> None:
    """Each gradient of a convolution costs as much as its forward pass, for any groups."""
    from torch import nn

    contenders = script("_contenders")
    net = nn.Sequential(
        nn.Conv2d(1, 8, 1, bias=False), nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
    )
    # images want no gradient: the first layer has two products, the second three
    assert contenders.flops_per_image(net) == 28 * 28 * 2 * (8 * 2 + 8 * 9 * 3)
    net[0].requires_grad_(False)
    assert contenders.flops_per_image(net) == 28 * 28 * 2 * (8 * 1 + 8 * 9 * 2)


def test_the_fastest_setting_is_chosen_and_failures_are_kept(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing setting is a row with its reason; if all fail, so does the benchmark."""
    throughput = script("throughput")

    class Made:
        """Contender whose rate is its batch size; a batch of 512 does not fit."""

        def __init__(self, setting: dict[str, Any]) -> None:
            self.setting = setting

        def turn(self, seconds: float) -> dict[str, float]:
            if self.setting["batch_size"] == 512:
                raise OracleZooError("out of memory")
            return {"per_s": self.setting["batch_size"]}

        def stop(self) -> None:
            pass

    monkeypatch.setattr("_turns.Contender", Made)
    base = SHARED | {"model": "oraclenet", "way": "engine"}
    settings = [base | {"batch_size": size} for size in (64, 256, 512, 128)]
    best, tried = throughput.choose(settings, 0.1)
    assert best["batch_size"] == 256
    assert [row["images_per_s"] for row in tried] == [64, 256, None, 128]
    assert tried[2]["failed"] == "out of memory"
    with pytest.raises(OracleZooError, match="out of memory"):
        throughput.choose([settings[2], settings[2]], 0.1)


def test_a_contender_that_dies_says_why(script: Script) -> None:
    """The error is the last line of its output."""
    turns = script("_turns")
    with (
        turns.running([{"way": "engine", "threads": 1, "device": "cpu"}]) as (contender,),
        pytest.raises(OracleZooError, match="KeyError"),
    ):
        contender.turn(0.1)


@pytest.mark.full
def test_a_quick_run(tmp_path: Path) -> None:
    """A short run prints one document whose ratios agree with its rows."""
    out = tmp_path / "throughput.json"
    command = [sys.executable, "benchmarks/throughput.py", "--quick", "--json", "--device", "cpu"]
    command += ["--threads", "1", "--turn-s", "0.1", "--images", "300", "--batches", "32,64"]
    command += ["--models", "oraclenet", "--out", str(out)]
    try:
        import lightning  # noqa: F401  # whether it is there
    except ImportError:
        command.append("--no-lightning")
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads(out.read_text(encoding="utf-8"))
    assert document["schema"] == "oraclezoo/throughput/1"
    data = document["data"]
    actual = {row["contender"]: row["images_per_s"]["median"] for row in data["rows"]}
    assert {"dataloader", "engine", "engine best"} <= set(actual)
    assert data["ratio_plain_house_net"] == pytest.approx(
        actual["engine"] / actual["dataloader"], abs=1e-3
    )
    best = next(row for row in data["rows"] if row["contender"] == "engine best")
    assert data["flops_share_of_peak"] == best["share_of_peak"]["value"]
    peak = data["peaks"]["oraclenet"]["gflops_per_s"]["median"]
    share = best["gflops_per_s"]["median"] / peak
    assert data["flops_share_of_peak"] == pytest.approx(share, abs=1e-3)
    assert share > 0
    for profile in data["profiles"]["oraclenet"].values():
        assert sum(profile["shares"].values()) == pytest.approx(1, abs=0.01)
        assert profile["busy_share"] > 0
    assert data["hardware"]["threads"] == 1
    assert {"torch", "python"} <= set(data["libraries"])
