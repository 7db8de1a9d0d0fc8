"""The table of what can be compressed: states from the commands' exits, and no work done twice."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from oraclezoo.card import Backbone

Script = Callable[[str], ModuleType]
EXT = Path(__file__).resolve().parents[2] / "docs" / "_ext"


def test_a_refusal_is_told_from_a_failure(script: Script) -> None:
    """Only what a spec declares counts as declared; the reason is kept."""
    outcome = script("compressible").outcome
    refused = outcome(2, None, "backbone x is declared not to be prunable: it is odd; 'list'")
    assert refused["state"] == "declared"
    assert outcome(2, None, "0.5 cannot be reached: it is 0.6")["state"] == "fails"
    assert outcome(1, None, "unexpected KeyError")["state"] == "fails"


def test_the_command_refuses_in_the_words_that_count_as_declared(
    script: Script, tiny_run: Path, tmp_path: Path
) -> None:
    """The message of the command itself, for a backbone that is declared not prunable."""
    from oraclezoo.artifacts.model import Model
    from oraclezoo.artifacts.run import Run
    from oraclezoo.errors import UsageError
    from oraclezoo.pruning.prune import prune

    model = Run.load(tiny_run).model()
    named = replace(model.card, backbone=Backbone("oraclezoo:bilinear_cnn", {}))
    with pytest.raises(UsageError) as refusal:
        prune(Model(model.module, named), macs=0.5)
    row = script("compressible").outcome(2, None, str(refusal.value))
    assert row["state"] == "declared"


@pytest.mark.parametrize("untimed", [True, False])
def test_times_are_left_out_only_where_that_is_asked(
    script: Script, monkeypatch: pytest.MonkeyPatch, untimed: bool
) -> None:
    """Every step's command line says so."""
    compressible, calls = script("compressible"), list[tuple[str, ...]]()

    def command(*arguments: object) -> tuple[int, dict[str, str] | None, str]:
        calls.append(tuple(map(str, arguments)))
        return (0, {"folder": "run"}, "") if arguments[0] == "train" else (1, None, "stopped here")

    monkeypatch.setattr(compressible, "command", command)
    given = Namespace(data_dir=None, device="cpu", epochs=1, track="glyphs-3k", untimed=untimed)
    compressible.measure("lenet5", given)
    assert [call[0] for call in calls] == ["train", *compressible.STEPS]
    assert all(("--no-timed" in call) is untimed for call in calls[1:])
    assert all(("--rounds" in call) is not untimed for call in calls[1:])


def test_what_is_in_the_file_is_not_done_again(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the page shows it, with the reason alone of what is declared."""
    out = tmp_path / "compressible.json"
    states = {
        "prune": {"state": "declared", "reason": "backbone x is ... prunable: it is odd; 'list'"},
        "export": {"state": "works", "largest_difference": 2e-6},
        "quantize": {"state": "fails", "reason": "no such layer"},
    }
    rows = [{"backbone": "lenet5", "state": "trained", **states}]
    document = {"data": {"track": "glyphs-3k", "epochs": 2, "rows": rows}}
    out.write_text(json.dumps(document))
    monkeypatch.setattr(sys, "argv", ["x", "--only", "lenet5", "--out", str(out)])
    script("compressible").main()
    assert json.loads(out.read_text())["data"]["rows"] == rows
    monkeypatch.syspath_prepend(str(EXT))
    page = pytest.importorskip("measured_compressible")
    monkeypatch.setattr(page, "read", lambda name: json.loads(out.read_text())["data"])
    monkeypatch.setattr(page, "MEASUREMENTS", tmp_path)
    shown = page.compressible()
    row = "| `lenet5` | not supported: it is odd | largest difference 2e-06 | **fails**:"
    assert row in shown
    monkeypatch.setattr(page, "MEASUREMENTS", tmp_path / "nowhere")
    assert "Not measured yet" in page.compressible()
