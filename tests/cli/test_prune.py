"""``oraclezoo prune``: streams, exit statuses, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import oraclezoo as oz
from oraclezoo.cli import cli

QUICK = ["--round-to", "2", "--device", "cpu", "--no-timed"]
BLANK = np.zeros((1, 16, 16), np.uint8)


def prune(*arguments: str | Path) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["prune", *map(str, arguments), *QUICK])


def test_a_run_becomes_a_smaller_model(tiny_run: Path, tiny_idx: Path, tmp_path: Path) -> None:
    """The receipt is on stdout, progress on stderr; --json prints one document."""
    out = tmp_path / "small"
    options = ("--macs", "0.6", "--epochs", "1", "--data-dir", tiny_idx)
    result = prune(tiny_run, "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == str(out)
    assert "multiply-accumulates" in result.stdout
    assert "step 1 of 1" in result.stderr
    assert "fine-tuning: 100%, epoch 1/1" in result.stderr
    assert oz.load(out).predict(BLANK).labels.shape == (1,)
    document = json.loads(prune(tiny_run, "--out", out, *options, "--overwrite", "--json").stdout)
    assert document["schema"] == "oraclezoo/prune/1"
    assert document["data"]["receipt"]["options"]["reached"] <= 0.6
    shown = CliRunner().invoke(cli, ["receipt", str(out)])
    assert "prune (macs 0.6" in shown.stdout


def test_a_crossed_gate_exits_with_3_and_the_figure(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """No model is written."""
    hard = ("--macs", "0.25", "--importance", "random", "--epochs", "0", "--max-limit", "0")
    result = prune(tiny_run, "--out", tmp_path / "out", *hard, "--data-dir", tiny_idx)
    assert result.exit_code == 3, result.output
    assert "the 95% limit of the loss is" in result.stderr
    assert not (tmp_path / "out" / "model.json").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ((), "one of macs, params and latency"),
        (("--macs", "0"), "--macs"),
        (("--macs", "0.5", "--params", "0.5"), "one of macs"),
        (("--macs", "0.5", "--importance", "looks"), "--importance"),
        (("--macs", "0.5", "--resume", "--overwrite"), "--resume or --overwrite"),
    ],
)
def test_wrong_usage_exits_with_2(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path, options: tuple[str, ...], word: str
) -> None:
    """One or two lines, without a traceback."""
    result = prune(tiny_run, "--out", tmp_path / "out", *options, "--data-dir", tiny_idx)
    assert result.exit_code == 2
    assert word in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2


def test_what_is_no_model_exits_with_1(tmp_path: Path) -> None:
    """The folder has other content."""
    result = prune(tmp_path, "--out", tmp_path / "out", "--macs", "0.5")
    assert result.exit_code == 1
    assert "neither model.json nor run.json" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_ctrl_c_keeps_the_work_and_resume_goes_on(
    tiny_run: Path, tiny_idx: Path, tmp_path: Path
) -> None:
    """The exit status is 130; --resume trains the remaining epochs to the same result."""
    values = ["--macs", "0.6", "--epochs", "60", "--data-dir", str(tiny_idx), *QUICK]
    command = [sys.executable, "-m", "oraclezoo", "prune", str(tiny_run), "--out"]
    stopped, whole = str(tmp_path / "stopped"), str(tmp_path / "whole")
    with subprocess.Popen([*command, stopped, *values], stderr=subprocess.PIPE, text=True) as job:
        assert job.stderr is not None
        for line in job.stderr:
            if "fine-tuning" in line:
                job.send_signal(signal.SIGINT)
                break
        rest = job.stderr.read()
    assert job.returncode == 130, rest
    assert "--resume" in rest
    subprocess.run([*command, stopped, *values, "--resume"], check=True, capture_output=True)
    subprocess.run([*command, whole, *values], check=True, capture_output=True)
    one, other = (oz.load(folder).predict(BLANK) for folder in (stopped, whole))
    assert one.probabilities.tobytes() == other.probabilities.tobytes()
