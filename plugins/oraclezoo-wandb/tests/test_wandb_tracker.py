"""The tests read offline runs back from their files; no network is needed."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.data.idx import write_idx
from oraclezoo.errors import InterruptedRunError
from oraclezoo.testing import conformance

test_conformance = conformance("oraclezoo-wandb")

HEADER = 7
BLOCK = 32768
SMALL: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "data.track": "idx"}


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep wandb out of the user's folders."""
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return 160 images of stripes in two positions."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, count in (("train", 120), ("t10k", 40)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        pictures = np.zeros((count, 16, 16), np.uint8)
        for picture, label in zip(pictures, labels, strict=True):
            picture[8 * label : 8 * label + 3] = 220
        write_idx(folder / f"{name}-images-idx3-ubyte", pictures)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder


def records(folder: Path) -> list[Any]:
    """Return the records of the offline runs in a run folder, in order.

    W&B's service writes the files in a separate process, sometimes after ``finish`` returns: wait
    for the last record of each, its exit.
    """
    until = time.monotonic() + 120
    while True:
        runs = [_records(file) for file in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]
        complete = all(run and run[-1].HasField("exit") for run in runs)
        if complete or time.monotonic() > until:
            return [record for run in runs for record in run]
        time.sleep(0.1)


def _records(file: Path) -> list[Any]:
    from wandb.proto import wandb_internal_pb2

    return [wandb_internal_pb2.Record.FromString(text) for text in _texts(file)]


def _texts(path: Path) -> Iterator[bytes]:
    """Yield the records of a LevelDB log, which follows wandb's header."""
    data, at, whole = path.read_bytes(), HEADER, b""
    while at + 7 <= len(data):
        left = BLOCK - at % BLOCK
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        if at + 7 + length > len(data):
            return  # still being written
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a full or a last fragment
            yield whole
            whole = b""


def history(records: list[Any]) -> list[dict[str, Any]]:
    rows = [record.history for record in records if record.HasField("history")]
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row.item}
        for row in rows
    ]


def test_a_training_is_a_whole_run(images: Path, tmp_path: Path) -> None:
    """A run has settings, metrics per epoch, artifacts and a status."""
    recipe = oz.Recipe.load("authors-cnn", SMALL)
    messages: list[str] = []
    run = oz.train(
        recipe,
        data_dir=images,
        out=tmp_path / "runs",
        device="cpu",
        trackers={"wandb": {"project": "tests", "group": "mine"}},
        progress=messages.append,
    )
    assert messages == []
    actual = records(run.folder)
    (started,) = (record.run for record in actual if record.HasField("run"))
    assert (started.project, started.run_group, started.run_id) == (
        "tests",
        "mine",
        run.folder.name,
    )
    config = {item.key: json.loads(item.value_json) for item in started.config.update}
    assert config["optimizer.lr"] == 0.1
    assert config["seed"] == 0
    *epochs, outcome = history(actual)
    assert [row["step"] for row in epochs] == [row.step for row in run.metrics]
    assert [row["train/loss"] for row in epochs] == [row.train_loss for row in run.metrics]
    assert all(row["system/memory_gib"] > 0 for row in epochs if sys.platform == "linux")
    assert outcome["outcome/validation_accuracy"] == 1.0
    artifacts = {r.artifact.type: r.artifact for r in actual if r.HasField("artifact")}
    assert set(artifacts) == {"recipe", "model"}
    names = {entry.path for entry in artifacts["model"].manifest.contents}
    assert names == {"model.json", "model.safetensors"}
    (end,) = (record.exit for record in actual if record.HasField("exit"))
    assert end.exit_code == 0


def test_an_interrupted_training_goes_on_as_the_same_run(images: Path, tmp_path: Path) -> None:
    """Both parts of a resumed training share an id; the first ends with an exit code."""
    recipe = oz.Recipe.load("authors-cnn", SMALL)
    options: dict[str, Any] = {
        "data_dir": images,
        "out": tmp_path,
        "device": "cpu",
        "trackers": "wandb",
    }
    steps = iter(range(100))
    with pytest.raises(InterruptedRunError):
        oz.train(recipe, should_stop=lambda: next(steps) == 7, **options)
    run = oz.train(recipe, resume=True, **options)
    actual = records(run.folder)
    started = [record.run.run_id for record in actual if record.HasField("run")]
    assert set(started) == {run.folder.name}
    exits = [record.exit.exit_code for record in actual if record.HasField("exit")]
    assert exits == [1, 0]


def test_listing_does_not_import_wandb() -> None:
    """wandb takes a second to import, so listing must not import it."""
    code = (
        "import sys; from oraclezoo.plugins.registry import build_registry; "
        "assert ('tracker', 'oraclezoo-wandb:wandb') in build_registry(); "
        "assert 'wandb' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("chosen", "reports"), [(None, "False"), ("true", "True")])
def test_error_reports_are_off_unless_the_user_wants_them(
    tmp_path: Path, chosen: str | None, reports: str
) -> None:
    """By wandb's own reading of its environment, once a tracker has started."""
    code = (
        "import sys; from pathlib import Path; from oraclezoo_wandb.tracker import WandbTracker; "
        "tracker = WandbTracker(run_name='r', folder=Path(sys.argv[1]), config={}, project='p', "
        "entity=None, group=None, mode='offline'); tracker.finish('done'); "
        "from wandb.env import error_reporting_enabled; print(error_reporting_enabled())"
    )
    environment = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9"}  # nothing leaves this test
    environment.pop("WANDB_ERROR_REPORTING", None)
    if chosen is not None:
        environment["WANDB_ERROR_REPORTING"] = chosen
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [reports]
