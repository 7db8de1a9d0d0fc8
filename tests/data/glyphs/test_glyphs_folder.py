"""Folders of generated characters: complete, reproducible, and created atomically."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from oraclezoo.data import tracks
from oraclezoo.data.glyphs import folder
from oraclezoo.data.glyphs.folder import write_folder
from oraclezoo.data.glyphs.forms import oracle
from oraclezoo.data.glyphs.strokes import Character, Form, Stroke
from oraclezoo.errors import DataError

KILLS = int(os.environ.get("ORACLEZOO_TEST_KILLS", "4"))
"""How many in the full suite."""
PER_CLASS = {"train": 12, "validation": 2, "test": 3}
TWO = (
    Character("bar", (Form((Stroke("line", ((0.5, 0.0), (0.5, 1.0))),), 0.05),), "|"),
    Character("dash", (Form((Stroke("line", ((0.0, 0.5), (1.0, 0.5))),), 20.0),)),
)


def content(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_track_idx_opens_it(tmp_path: Path) -> None:
    """It has validation files, names, glyphs and flags."""
    record = write_folder(tmp_path / "out", TWO, PER_CLASS, 5, flip_keeps_label=True)
    dataset = tracks.idx(data_dir=tmp_path / "out")
    assert dataset.classes == ("bar", "dash")
    assert dataset.glyphs == ("|", "")
    assert dataset.synthetic
    assert dataset.flip_keeps_label
    for split, count in PER_CLASS.items():
        part = dataset.split(split)
        assert np.bincount(part.labels).tolist() == [count, count]
        assert part.images.shape == (2 * count, 28, 28)
    assert json.loads((tmp_path / "out" / folder.RECORD).read_text()) == record.to_json_dict()
    assert {name: digest for name, digest in record.files.items() if "train" in name} == {
        name: digest for name, digest in dataset.sha256.items() if "train" in name
    }


def test_a_seed_decides_every_byte_and_parts_differ(tmp_path: Path) -> None:
    """Equal seeds give equal bytes; no image is in two splits."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_folder(tmp_path / name, oracle(), PER_CLASS, seed, flip_keeps_label=True)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "c")
    first, other = (tracks.idx(data_dir=tmp_path / name) for name in "ac")
    seen = [
        image.tobytes() for d in (first, other) for s in PER_CLASS for image in d.split(s).images
    ]
    assert len(set(seen)) == len(seen)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """Only an empty folder is used."""
    (tmp_path / "out").mkdir()
    write_folder(tmp_path / "out", TWO, PER_CLASS, 0, flip_keeps_label=False)
    before = content(tmp_path / "out")
    with pytest.raises(DataError, match="is not empty"):
        write_folder(tmp_path / "out", TWO, PER_CLASS, 1, flip_keeps_label=False)
    assert content(tmp_path / "out") == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="is not empty"):
        write_folder(tmp_path / "file", TWO, PER_CLASS, 1, flip_keeps_label=False)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_error_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The staging folder is removed too."""

    def fail(path: Path, array: object) -> None:
        raise DataError("the disk is full")

    monkeypatch.setattr(folder, "write_idx", fail)
    with pytest.raises(DataError, match="disk is full"):
        write_folder(tmp_path / "out", TWO, PER_CLASS, 0, flip_keeps_label=False)
    assert [path.name for path in tmp_path.iterdir()] == [".out.lock"]


@pytest.mark.parametrize("kills", [1, pytest.param(KILLS, marks=pytest.mark.full)])
def test_killed_at_any_moment_it_is_whole_or_absent(tmp_path: Path, kills: int) -> None:
    """kill -9, then the same command works. ORACLEZOO_TEST_KILLS sets how often."""
    seed = int(os.environ.get("ORACLEZOO_TEST_SEED", str(time.time_ns() % 10**6)))
    print(f"ORACLEZOO_TEST_SEED={seed}")
    generator = np.random.default_rng(seed)
    program = (
        "import sys; from pathlib import Path;"
        "from oraclezoo.data.glyphs.folder import write_folder;"
        "from oraclezoo.data.glyphs.forms import oracle;"
        "characters = oracle(); print('ready', flush=True);"
        "write_folder(Path(sys.argv[1]), characters, dict(train=60, validation=9, test=20), 3,"
        " flip_keeps_label=True); print('done', flush=True)"
    )
    expected = None
    for number in range(kills + 1):
        out = tmp_path / f"out{number % 5}" if number < kills else tmp_path / "out0"
        complete = out.exists()
        if complete:
            for path in out.iterdir():
                path.unlink()
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(out)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if number < kills:
            time.sleep(generator.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        names = [path.name for path in out.iterdir()] if out.exists() else []
        if names:
            assert len(names) == 8, names
            actual = content(out)
            expected = expected or actual
            assert actual == expected
    assert len(list((tmp_path / "out0").iterdir())) == 8
    assert not list(tmp_path.glob(".out0.making"))
