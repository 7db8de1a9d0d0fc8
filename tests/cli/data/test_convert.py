"""``oraclezoo data convert``: output, exit statuses, Ctrl-C."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

from oraclezoo.cli import cli
from oraclezoo.cli.data import convert as module
from oraclezoo.data.scans.layout import Naming
from oraclezoo.data.tracks import MAX_IMAGE_SIZE, idx
from oraclezoo.imaging.prepare import prepare

BENCHMARK = runpy.run_path(
    str(Path(__file__).resolve().parents[3] / "benchmarks" / "convert.py"), run_name="convert"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """330 scans of ten classes, in every format and mode of the benchmark."""
    folder = tmp_path_factory.mktemp("made") / "scans"
    BENCHMARK["make"](folder, 330)
    return folder


@pytest.fixture
def scans(made: Path, tmp_path: Path) -> Path:
    """A copy of the scans that a test may modify."""
    return Path(shutil.copytree(made, tmp_path / "scans"))


def convert(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(
        cli, ["data", "convert", *map(str, arguments)], catch_exceptions=False
    )


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "oraclezoo", "data", "convert"]
    return subprocess.run([*program, *map(str, arguments)], capture_output=True, text=True)


def test_every_listed_format_is_converted(scans: Path, tmp_path: Path) -> None:
    """All images are converted, bright on dark, with a summary."""
    done = run(scans, "--out", tmp_path / "out", "--size", "28", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert "rejected    0 files, 0.0%" in done.stdout
    assert "28 x 28" in done.stdout
    assert "330 of 330 files" in done.stderr
    assert len({path.suffix for path in scans.rglob("*.*")}) == 6
    dataset = idx(data_dir=tmp_path / "out")
    assert dataset.classes == tuple("0123456789")
    images = dataset.split("train").images
    assert (images.reshape(len(images), -1).mean(1) < 128).all()


def test_json_is_one_document_and_the_report(scans: Path, tmp_path: Path) -> None:
    """stdout contains only the report."""
    done = run(scans, "--out", tmp_path / "out", "--json", "--jobs", "1", "--validation", "20")
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "out" / "report.json").read_text())
    assert document["schema"] == "oraclezoo/convert/1"
    assert document["data"]["settings"]["validation_percent"] == 20
    assert sum(document["data"]["images"].values()) == 330


def spoil(scans: Path) -> list[Path]:
    """Truncate every tenth file to half its size."""
    chosen = sorted(path for path in scans.rglob("*") if path.is_file())[::10]
    for path in chosen:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return chosen


def test_a_tenth_broken_is_status_3_unless_allowed(scans: Path, tmp_path: Path) -> None:
    """The others are written and the report lists each rejected file."""
    broken = spoil(scans)
    done = run(scans, "--out", tmp_path / "out", "--jobs", "2")
    assert done.returncode == 3
    first, second = done.stderr.strip().splitlines()[-2:]
    assert first.startswith("oraclezoo: 33 files (10.0%) were rejected, at most 0% are allowed")
    assert "--allow-rejected PERCENT" in second
    assert "Traceback" not in done.stderr
    assert "rejected    33 files, 10.0%" in done.stdout
    assert "report.json for all" in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())["data"]
    assert [row["file"] for row in report["rejected"]] == sorted(
        path.relative_to(scans).as_posix() for path in broken
    )
    assert all(row["reason"] for row in report["rejected"])
    assert len(idx(data_dir=tmp_path / "out").split("train").labels) == report["images"]["train"]
    assert sum(report["images"].values()) == 297
    for share, status in (("10", 0), ("9.9", 3), ("100", 0)):
        again = convert(scans, "--out", tmp_path / "out", "--jobs", 1, "--allow-rejected", share)
        assert again.exit_code == status


def test_mistakes_are_one_clear_line(scans: Path, tmp_path: Path) -> None:
    """Exit status 2 for invalid values, 1 for unusable input; nothing is written."""
    out = tmp_path / "out"
    for arguments, status, says in (
        ((tmp_path / "absent", "--out", out), 1, "absent: No such file or directory"),
        ((scans, "--out", out, "--size", "0"), 2, "not in the range"),
        ((scans, "--out", out, "--size", "513"), 2, "not in the range"),
        ((scans, "--out", out, "--test", "0"), 2, "not in the range"),
        (
            (scans, "--out", out, "--validation", "60", "--test", "40"),
            2,
            "must leave images for training",
        ),
        ((scans, "--out", scans), 2, "the output folder must differ"),
        ((scans / "0", "--out", out), 1, "at least two class folders with images are required"),
        ((__file__, "--out", out), 1, "not a folder or a complete tar or zip archive"),
        ((scans, "--out", out, "--jobs", "0"), 2, "not in the range"),
    ):
        done = convert(*arguments)
        assert (done.exit_code, says in done.stderr) == (status, True), done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2
        assert not out.exists()


def test_options_agree_with_what_they_stand_for() -> None:
    """Bounds and choices are those of the library."""
    options = {option.name: option for option in module.command.params}
    assert options["size"].type.max == MAX_IMAGE_SIZE  # type: ignore[attr-defined]  # a range
    assert get_args(module.Naming) == get_args(Naming)


def test_folders_named_as_oracle_mnists_classes_are_pointed_out(
    tmp_path: Path, scans: Path
) -> None:
    """A hint names the option."""
    from oraclezoo.data.characters import CLASSES

    for label, name in enumerate(CLASSES):
        (scans / str(label)).rename(scans / name)
    done = convert(scans, "--out", tmp_path / "out", "--jobs", 1)
    assert "use --classes oracle-mnist for its label order" in done.stderr
    assert idx(data_dir=tmp_path / "out").classes == tuple(sorted(CLASSES))
    done = convert(scans, "--out", tmp_path / "out", "--jobs", 1, "--classes", "oracle-mnist")
    assert "label order" not in done.stderr
    assert idx(data_dir=tmp_path / "out").classes == CLASSES


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
def test_ctrl_c_keeps_prepared_images(tmp_path: Path) -> None:
    """Exit status 130 and one line that says how to resume, no traceback; then it resumes."""
    BENCHMARK["make"](tmp_path / "scans", 1500)
    arguments = [str(tmp_path / "scans"), "--out", str(tmp_path / "out"), "--jobs", "2"]
    program = [sys.executable, "-m", "oraclezoo", "data", "convert", *arguments]
    process = subprocess.Popen(
        program, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(tmp_path.glob("out/.convert/images-*/*.images")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # to the workers as well, as a terminal does
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "run the same command again to resume" in stderr.splitlines()[-1]
    assert not stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".convert"]
    done = run(*arguments, "--json")
    time_of = json.loads(done.stdout)["data"]["time"]
    assert time_of["kept"] >= 128
    assert time_of["kept"] + time_of["prepared"] == 1500


def test_light_help() -> None:
    """Help does not import NumPy or Pillow."""
    code = (
        "import sys\nfrom oraclezoo.cli import cli\n"
        "try:\n    cli(['data', *sys.argv[1:], '--help'])\n"
        "except SystemExit:\n    pass\n"
        "assert not {'numpy', 'PIL', 'torch', 'filelock'} & set(sys.modules)\n"
    )
    for arguments in ([], ["convert"]):
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_a_prepared_image_is_what_prepare_gives(scans: Path, tmp_path: Path) -> None:
    """Training and prediction share the preprocessing."""
    convert(scans, "--out", tmp_path / "out", "--jobs", 1, "--validation", 0)
    dataset = idx(data_dir=tmp_path / "out")
    contents = {image.tobytes() for image in dataset.split("test").images}
    prepared = {prepare(path, 28, smoothing=0.0).gray.tobytes() for path in scans.rglob("*.*")}
    assert contents <= prepared
