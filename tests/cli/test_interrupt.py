"""Ctrl-C and corrupt files, in real processes."""

from __future__ import annotations

import gzip
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from oraclezoo.cli import cli
from oraclezoo.engine.checkpoint import load_state

PROGRAM = [sys.executable, "-m", "oraclezoo"]


def train_command(data: Path, epochs: int, *more: str) -> list[str]:
    """Return the command of a small training run on IDX files."""
    small = ["-s", f"budget.epochs={epochs}", "-s", "budget.batch_size=16", "--device", "cpu"]
    return [
        *PROGRAM,
        "train",
        "authors-cnn",
        "--track",
        "idx",
        "--data-dir",
        str(data),
        *small,
        *more,
    ]


def wait_for_an_epoch(folder: Path) -> None:
    """Wait until a run below a folder has metrics."""
    stop_at = time.monotonic() + 300
    while time.monotonic() < stop_at and not (
        (metrics := list(folder.glob("runs/*/metrics.jsonl"))) and metrics[0].read_text()
    ):
        time.sleep(0.05)


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_in_training_then_resume(name: str, tiny_idx: Path, tmp_path: Path) -> None:
    """The exit status is 130, and --resume ends like an uninterrupted run."""
    command = train_command(tiny_idx, 200)
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for_an_epoch(tmp_path)
    process.send_signal(getattr(signal, name))
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert "--resume" in stderr
    assert "Traceback" not in stderr
    done = subprocess.run([*command, "--resume"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole = CliRunner().invoke(cli, [*command[len(PROGRAM) :], "--out", str(tmp_path / "whole")])
    assert whole.exit_code == 0, whole.output
    (one,), (other,) = tmp_path.glob("runs/*/last.safetensors"), tmp_path.glob("whole/*/last.*")
    a, b = load_state(one)["model"], load_state(other)["model"]
    assert all(bool((a[key] == b[key]).all()) for key in b)


IN_A_TERMINAL = """
import os, sys
os.open(os.ttyname(0), os.O_RDWR)  # becomes the terminal of this session
os.execv(sys.executable, sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_a_closed_terminal_keeps_the_state(tiny_idx: Path, tmp_path: Path) -> None:
    """Nothing can be printed any more; the run is interrupted and not failed."""
    controller, terminal = os.openpty()
    command = train_command(tiny_idx, 2000)
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *command],
        cwd=tmp_path,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    reader = threading.Thread(target=_drain, args=(controller,), daemon=True)
    reader.start()
    wait_for_an_epoch(tmp_path)
    os.close(controller)
    assert process.wait(timeout=300) == 130
    (record,) = tmp_path.glob("runs/*/run.json")
    assert json.loads(record.read_text())["status"] == "interrupted"


def _drain(descriptor: int) -> None:
    with suppress(OSError):
        while True:
            if select.select([descriptor], [], [], 0.1)[0]:
                os.read(descriptor, 1 << 16)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _wrong_magic(path: Path) -> None:
    path.write_bytes(gzip.compress(b"\x01\x02\x03\x04" + gzip.decompress(path.read_bytes())[4:]))


def _web_page(path: Path) -> None:
    path.write_bytes(b"<!DOCTYPE html><html><body>Sign in</body></html>")


def _one_image_less(path: Path) -> None:
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:4] + (159).to_bytes(4, "big") + raw[8:-256]))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_truncate, "corrupt or truncated gzip data"),
        (_wrong_magic, "begins with 01 02 03 04"),
        (_web_page, "HTML"),
        (_one_image_less, "159 images but 160 labels"),
    ],
)
def test_broken_files_are_one_clear_error(
    spoil: Callable[[Path], None], says: str, tiny_idx: Path, tmp_path: Path
) -> None:
    """At most two lines name file and fault; no run folder is left."""
    data = tmp_path / "data"
    shutil.copytree(tiny_idx, data)
    spoil(data / "train-images-idx3-ubyte.gz")
    done = subprocess.run(train_command(data, 1), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert says in done.stderr
    assert "train-images-idx3-ubyte.gz" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
    assert not (tmp_path / "runs").exists()


def test_training_without_a_timm_backbone_does_not_import_timm(
    tiny_idx: Path, tmp_path: Path
) -> None:
    """timm and torchvision take seconds to import."""
    code = (
        "import sys, oraclezoo as oz\n"
        "recipe = oz.Recipe.load('default', {'data.track': 'idx', 'budget.epochs': 1,"
        " 'budget.batch_size': 16})\n"
        "oz.train(recipe, data_dir=sys.argv[1], device='cpu').model()\n"
        "assert not {'timm', 'torchvision', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tiny_idx)], cwd=tmp_path, check=True)
