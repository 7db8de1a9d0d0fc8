"""Conversion of folders of scans to IDX files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oraclezoo.data.scans.convert import Settings, convert
from oraclezoo.data.scans.report import Report
from oraclezoo.data.scans.write import work_folder
from oraclezoo.data.splits import by_image_hash
from oraclezoo.data.tracks import idx
from oraclezoo.errors import DataError, InterruptedRunError, UsageError
from oraclezoo.imaging.prepare import prepare
from oraclezoo.plugins.registry import build_registry

Write = Callable[..., Path]


def splits(folder: Path) -> dict[str, dict[bytes, int]]:
    """Return label by image for each split."""
    dataset = idx(data_dir=folder)
    parts = {name: dataset.split(name) for name in ("train", "validation", "test")}
    return {
        name: {i.tobytes(): int(k) for i, k in zip(part.images, part.labels, strict=True)}
        for name, part in parts.items()
    }


def data(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file except the report, which contains times."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "report.json"
    }


def test_a_converted_folder_is_a_data_set(pool: Path, tmp_path: Path) -> None:
    """Track idx opens it: every scan once, labeled by its folder and split by hash."""
    report = convert(pool, tmp_path / "out", Settings())
    dataset = build_registry().create("dataset", "idx", data_dir=tmp_path / "out")
    assert dataset.classes == ("ma", "ri", "yu")
    assert not dataset.flip_keeps_label
    actual = splits(tmp_path / "out")
    expected = {
        prepare(path, 28, smoothing=0.0).gray.tobytes(): label
        for label, name in enumerate(dataset.classes)
        for path in (pool / name).iterdir()
    }
    assert actual["train"] | actual["validation"] | actual["test"] == expected
    assert sum(map(len, actual.values())) == len(expected) == report.usable == 120
    assert {name: report.count(name) for name in actual} == {k: len(v) for k, v in actual.items()}
    assert by_image_hash(dataset.split("validation").images).all()  # as track oracle-mnist
    assert not by_image_hash(dataset.split("train").images).any()
    assert (report.prepared, report.reused, report.rejected) == (120, 0, ())
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    assert document == {"schema": "oraclezoo/convert/1", "data": report.to_json_dict()}
    for name, digest in report.files.items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest


def test_the_order_is_by_class_and_number(pool: Path, tmp_path: Path) -> None:
    """Images are sorted by label, then by name with 2 before 10."""
    convert(pool, tmp_path / "out", Settings(validation_percent=0))
    dataset = idx(data_dir=tmp_path / "out")
    labels = np.concatenate([dataset.split(s).labels for s in ("train", "validation")])
    contents = {i.tobytes() for i in dataset.split("test").images}
    assert len(labels) + len(contents) == 120
    files = sorted((pool / "ma").iterdir(), key=lambda path: int(path.stem))
    prepared = [prepare(path, 28, smoothing=0.0).gray.tobytes() for path in files]
    expected = [image for image in prepared if image not in contents]
    ours = [i.tobytes() for i in _training_file(tmp_path / "out")[: len(expected)]]
    assert ours == expected


def _training_file(folder: Path) -> np.ndarray:
    from oraclezoo.data.image_files import read_images

    return read_images(folder / "train-images-idx3-ubyte.gz")


def test_images_stay_on_their_side_when_others_are_added(
    pool: Path, tmp_path: Path, write: Write
) -> None:
    """New files, new classes and renamed classes do not change the split of an image."""
    out = tmp_path / "out"
    convert(pool, out, Settings())
    before = splits(out)
    for number in range(60):
        write(pool / "aa" / f"{number}.png", 1000 + number)
        write(pool / "ri" / f"0{number}-more.bmp", 2000 + number)
    (pool / "yu").rename(pool / "ab")
    report = convert(pool, out, Settings())
    after = splits(out)
    for split, images in before.items():
        assert images.keys() <= after[split].keys()
    assert report.usable == 240
    assert (report.prepared, report.reused) == (160, 80)  # those renamed are read again


def test_the_output_does_not_depend_on_jobs_or_history(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One or three processes, small batches and repeated runs give the same bytes."""
    convert(pool, tmp_path / "one", Settings())
    monkeypatch.setattr("oraclezoo.data.scans.prepare._MAX_BATCH", 7)
    convert(pool, tmp_path / "three", Settings(), jobs=3)
    assert data(tmp_path / "three") == data(tmp_path / "one")
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "one").glob("*.gz")}
    again = convert(pool, tmp_path / "one", Settings())
    assert (again.prepared, again.reused, again.images_per_s) == (0, 120, None)
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "one").glob("*.gz")} == times
    fresh = convert(pool, tmp_path / "one", Settings(), fresh=True)
    assert fresh.prepared == 120
    assert data(tmp_path / "one") == data(tmp_path / "three")


def test_a_changed_file_is_read_again(pool: Path, tmp_path: Path, write: Write) -> None:
    """A deleted file leaves the data set and the work folder."""
    out = tmp_path / "out"
    convert(pool, out, Settings())
    write(pool / "ma" / "0.bmp", 5000)
    (pool / "ma" / "1.png").unlink()
    report = convert(pool, out, Settings())
    assert (report.prepared, report.reused, report.usable) == (1, 118, 119)
    image = prepare(pool / "ma" / "0.bmp", 28, smoothing=0.0).gray.tobytes()
    assert image in set().union(*splits(out).values())


@pytest.mark.parametrize("size", [1, 7, 64, 512])
def test_any_size(size: int, pool: Path, tmp_path: Path) -> None:
    """Images have the requested size; another size in the same folder replaces them."""
    out = tmp_path / "out"
    convert(pool, out, Settings(validation_percent=30, test_percent=30))
    report = convert(pool, out, Settings(size, validation_percent=30, test_percent=30))
    dataset = idx(data_dir=out)
    for split in ("train", "validation", "test"):
        assert dataset.split(split).images.shape[1:] == (size, size)
    assert report.prepared == 120
    assert len(list((out / ".convert").glob("images-*"))) == 1


def test_folders_for_sides_are_kept_to(pool: Path, tmp_path: Path) -> None:
    """With test/, the hash splits training only; with validation/ as well, nothing."""
    source = tmp_path / "parted"
    shutil.copytree(pool, source / "train")
    for name in ("ma", "ri", "yu"):
        (source / "test" / name).mkdir(parents=True)
        for number in range(10, 20):
            (path,) = (source / "train" / name).glob(f"{number}.*")
            path.rename(source / "test" / name / path.name)
    report = convert(source, tmp_path / "out", Settings())
    assert report.split_folders == ("train", "test")
    assert report.count("test") == 30
    assert report.settings.test_percent == 0
    actual = splits(tmp_path / "out")
    assert actual["validation"].keys() <= splits_of_pool(pool, tmp_path)["validation"].keys()
    with pytest.raises(UsageError, match="has a test folder; omit --test"):
        convert(source, tmp_path / "out", Settings(test_percent=20))
    (source / "train").rename(source / "Training")
    shutil.copytree(source / "test", source / "val")
    report = convert(source, tmp_path / "other", Settings())
    assert [report.count(split) for split in ("train", "validation", "test")] == [90, 30, 30]
    assert all(group.across_splits for group in report.duplicates)
    assert len(report.duplicates) == 30


def splits_of_pool(pool: Path, place: Path) -> dict[str, dict[bytes, int]]:
    convert(pool, place / "pool-out", Settings())
    return splits(place / "pool-out")


def test_oracle_mnists_names_are_taken_on_request(tmp_path: Path, write: Write) -> None:
    """Folders named 0 to 9, or by name or character, get its labels and flips."""
    from oraclezoo.data.characters import CLASSES, GLYPHS

    wanted = Settings(naming="oracle-mnist", validation_percent=20, test_percent=20)
    contents = []
    for names in (tuple("0123456789"), CLASSES, GLYPHS):
        source = tmp_path / names[1]
        for label, name in enumerate(names):
            for number in range(12):
                write(source / name / f"{number}.bmp", 100 * label + number)
        convert(source, tmp_path / f"out-{names[1]}", wanted)
        dataset = idx(data_dir=tmp_path / f"out-{names[1]}")
        assert (dataset.classes, dataset.glyphs) == (CLASSES, GLYPHS)
        assert dataset.flip_keeps_label
        contents.append(data(tmp_path / f"out-{names[1]}"))
    assert contents[0] == contents[1] == contents[2]
    convert(source, tmp_path / "plain", Settings(validation_percent=20, test_percent=20))
    assert set(idx(data_dir=tmp_path / "plain").glyphs) == set(GLYPHS)
    shutil.rmtree(source / GLYPHS[3])
    with pytest.raises(DataError, match="the class folders are not Oracle-MNIST's"):
        convert(source, tmp_path / "less", wanted)


def test_what_is_said_by_hand_in_dataset_toml_stays(
    pool: Path, tmp_path: Path, write: Write
) -> None:
    """An edited file is kept, unless the number of classes changes."""
    out = tmp_path / "out"
    convert(pool, out, Settings(flip_keeps_label=True))
    about = out / "dataset.toml"
    assert idx(data_dir=out).flip_keeps_label
    about.write_text(about.read_text() + 'glyphs = ["ま", "り", "ゆ"]\n', encoding="utf-8")
    write(pool / "ma" / "more.png", 900)
    convert(pool, out, Settings(flip_keeps_label=True))
    assert idx(data_dir=out).glyphs == ("ま", "り", "ゆ")
    convert(pool, out, Settings())
    assert idx(data_dir=out).glyphs == ("ま", "り", "ゆ")
    before = data(out)
    for number in range(12):
        write(pool / "za" / f"{number}.png", 3000 + number)
    with pytest.raises(DataError, match="was edited, but the number of classes"):
        convert(pool, out, Settings())
    assert data(out) == before
    about.unlink()
    convert(pool, out, Settings())
    assert idx(data_dir=out).classes == ("ma", "ri", "yu", "za")


def spoil(pool: Path, count: int) -> list[str]:
    """Break every tenth scan in one of four ways; return their names."""
    files = sorted(path for path in pool.rglob("*") if path.is_file())[::10][:count]
    for number, path in enumerate(files):
        whole = path.read_bytes()
        ways = (b"", b"no image\n" * 9, whole[: len(whole) // 2], bytes(64) + whole[64:])
        path.write_bytes(ways[number % 4])
    return [path.relative_to(pool).as_posix() for path in files]


def test_broken_files_are_left_out_and_reported(pool: Path, tmp_path: Path) -> None:
    """Each corrupt file has a reason; all others are converted."""
    broken = spoil(pool, 12)
    report = convert(pool, tmp_path / "out", Settings(), jobs=2)
    assert [name for name, _ in report.rejected] == sorted(broken)
    assert all(reason and "\n" not in reason for _, reason in report.rejected)
    assert report.rejected_percent == pytest.approx(10)
    assert sum(each.rejected for each in report.classes) == 12
    assert sum(map(len, splits(tmp_path / "out").values())) == report.usable == 108


def test_a_file_that_was_mended_is_taken_in(pool: Path, tmp_path: Path) -> None:
    """Rejected files are tried again in each run, others are reused."""
    path = pool / "ma" / "0.bmp"
    good, status = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(good)))
    assert len(convert(pool, tmp_path / "out", Settings()).rejected) == 1
    path.write_bytes(good)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = convert(pool, tmp_path / "out", Settings())
    assert (report.rejected, report.prepared, report.usable) == ((), 1, 120)


def test_nothing_is_written_where_no_data_set_comes_of_it(pool: Path, tmp_path: Path) -> None:
    """Too few classes, a class without images, or an empty split."""
    out = tmp_path / "out"
    for path in (pool / "ri").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="'ri' has no training images: 40 files") as caught:
        convert(pool, out, Settings())
    listed = json.loads(Path(str(caught.value).rsplit(": ", 1)[1]).read_text())
    assert len(listed) == 40
    assert [path.name for path in out.iterdir()] == [".convert"]
    shutil.rmtree(out)
    for name in ("ri", "yu"):
        shutil.rmtree(pool / name)
    with pytest.raises(DataError, match="at least two class folders with images are required"):
        convert(pool, out, Settings())
    with pytest.raises(DataError, match="found none"):
        convert(pool / "ma", out, Settings())
    (pool / "ri").mkdir()
    for path in list((pool / "ma").iterdir())[:4]:
        shutil.copy(path, pool / "ri")
    for path in list((pool / "ma").iterdir())[4:]:
        path.unlink()
    assert not out.exists()
    with pytest.raises(DataError, match=r"no images were assigned to (validation|test)"):
        convert(pool, out, Settings(validation_percent=1, test_percent=1))
    with pytest.raises(UsageError, match="must leave images for training"):
        convert(pool, out, Settings(validation_percent=50, test_percent=50))


def test_equal_images_are_reported_and_on_one_side(pool: Path, tmp_path: Path) -> None:
    """Duplicates within and across classes, in any format."""
    shutil.copy(pool / "ma" / "0.bmp", pool / "ma" / "copy.bmp")
    shutil.copy(pool / "ma" / "0.bmp", pool / "yu" / "copy.bmp")
    shutil.copy(pool / "ri" / "1.png", pool / "ri" / "copy.png")
    report = convert(pool, tmp_path / "out", Settings())
    first, second = report.duplicates
    assert first.files == ("ma/0.bmp", "ma/copy.bmp", "yu/copy.bmp")
    assert (first.classes, first.conflicting) == (("ma", "ma", "yu"), True)
    assert second.files == ("ri/1.png", "ri/copy.png")
    assert not second.conflicting
    assert not any(group.across_splits for group in report.duplicates)
    assert report.usable == 123


def test_odd_files_in_a_folder(pool: Path, tmp_path: Path, write: Write) -> None:
    """Links, pipes, hidden and unreadable files are reported and never block."""
    write(pool / "stray.png", 7)
    (pool / "ma" / "notes.txt").write_text("about these")
    (pool / "ma" / ".hidden.png").write_bytes(b"x")
    (pool / "__MACOSX" / "ma").mkdir(parents=True)
    (pool / "__MACOSX" / "ma" / "0.png").write_bytes(b"x")
    (pool / "yu" / "link.png").symlink_to(write(tmp_path / "elsewhere" / "one.png", 8))
    (pool / "yu" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (pool / "linked").symlink_to(pool / "ma")
    write(pool / "yu" / "deeper" / "still" / "two.png", 9)
    os.mkfifo(pool / "ri" / "pipe.png")
    with (pool / "ri" / "huge.png").open("wb") as file:
        file.truncate((64 << 20) + 1)
    if sys.platform == "linux":
        shutil.copy(pool / "ma" / "1.png", os.fsencode(pool / "ma") + b"/caf\xe9\n.png")
    report = convert(pool, tmp_path / "out", Settings())
    assert dict(report.rejected) == {
        "ri/huge.png": "the file is larger than 64 MiB",
        "ri/pipe.png": "not a regular file",
        "stray.png": "not in a class folder",
        "yu/gone.png": "the file cannot be read (No such file or directory)",
    }
    assert dict(report.ignored) == {
        "ma/notes.txt": "not an image file extension",
        "linked": "link to a folder, not followed",
    }
    assert report.usable == 122 + (sys.platform == "linux")
    json.dumps(report.to_json_dict()).encode()


def test_the_output_may_lie_in_the_source(pool: Path, write: Write) -> None:
    """It is never taken for a class; the source itself is rejected as output."""
    convert(pool, pool / "out", Settings())
    write(pool / "out" / "x.png", 3)
    assert convert(pool, pool / "out", Settings()).usable == 120
    with pytest.raises(UsageError, match="the output folder must differ"):
        convert(pool, pool, Settings())


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"])
def test_data_of_others_are_not_written_over(name: str, pool: Path, tmp_path: Path) -> None:
    """A folder with IDX files of other origin is rejected and unchanged."""
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(b"precious")
    with pytest.raises(DataError, match=f"{name} was not written by this command"):
        convert(pool, out, Settings())
    assert data(out) == {name: hashlib.sha256(b"precious").hexdigest()}
    assert len(list(out.iterdir())) == 1


def test_two_conversions_into_one_folder_do_not_mix(pool: Path, tmp_path: Path) -> None:
    """The second one fails, from another thread or process."""
    with work_folder(tmp_path / "out"), pytest.raises(DataError, match="another conversion"):
        convert(pool, tmp_path / "out", Settings())
    convert(pool, tmp_path / "out", Settings())


def test_a_stopped_conversion_goes_on(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prepared images are kept; no output file is written before all are prepared."""
    monkeypatch.setattr("oraclezoo.data.scans.prepare._MAX_BATCH", 10)
    done: list[int] = []
    with pytest.raises(InterruptedRunError, match="30 of 120 files are prepared;"):
        convert(
            pool,
            tmp_path / "out",
            Settings(),
            progress=lambda step: done.append(step.done),
            stop=lambda: len(done) >= 3,
        )
    assert done == [10, 20, 30]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".convert"]
    report = convert(pool, tmp_path / "out", Settings())
    assert (report.prepared, report.reused) == (90, 30)
    convert(pool, tmp_path / "whole", Settings())
    assert data(tmp_path / "out") == data(tmp_path / "whole")


def test_a_damaged_work_folder_costs_time_only(pool: Path, tmp_path: Path) -> None:
    """Truncated or altered stored images are prepared again."""
    out = tmp_path / "out"
    convert(pool, out, Settings())
    before = data(out)
    contents = {path: path.read_bytes() for path in (out / ".convert").glob("images-*/*")}
    for spoilt in (lambda b: b[:-5], lambda b: b[:-5] + b"abcde", lambda b: b""):
        for path, content in contents.items():
            path.write_bytes(spoilt(content))
        report = convert(pool, out, Settings())
        assert (report.prepared, data(out)) == (120, before)
    shutil.rmtree(out / ".convert")
    assert convert(pool, out, Settings()).prepared == 120
    assert data(out) == before


def test_no_reader_meets_halves_of_two_data_sets(
    pool: Path, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at any step, the folder holds one complete data set or none."""
    out = tmp_path / "out"
    convert(pool, out, Settings())
    old = data(out)
    for number in range(20):
        write(pool / "aa" / f"{number}.png", 4000 + number)
    convert(pool, tmp_path / "new", Settings())
    new = data(tmp_path / "new")
    opened = set()
    for step in range(100):
        shutil.rmtree(out)
        shutil.copytree(tmp_path / "new", out)
        for path in out.iterdir():
            if path.is_file():
                path.unlink()
        _fill(out, tmp_path, old, pool)
        with monkeypatch.context() as patch:
            _stop_after(step, out, patch)
            try:
                convert(pool, out, Settings())
            except KeyboardInterrupt:
                finished = False
            else:
                finished = True
        now = data(out)
        assert all(now[name] in (old.get(name), new[name]) for name in now)
        try:
            dataset = idx(data_dir=out)
        except DataError:
            opened.add("none")
        else:
            opened.add("old" if len(dataset.classes) == 3 else "new")
            assert now == (old if len(dataset.classes) == 3 else new)
        convert(pool, out, Settings())
        assert data(out) == new
        if finished:
            break
    assert finished
    assert opened == {"old", "none", "new"}


def _stop_after(steps: int, out: Path, patch: pytest.MonkeyPatch) -> None:
    """Simulate a kill after ``steps`` renames or removals in ``out``."""
    left = iter(range(steps))

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(self: Path, *args: object, **kwargs: object) -> object:
            if out in (self.parent, Path(str(args[0])).parent if args else None):
                try:
                    next(left)
                except StopIteration:
                    raise KeyboardInterrupt from None
            return original(self, *args, **kwargs)

        return call

    patch.setattr(Path, "replace", counted(Path.replace))
    patch.setattr(Path, "unlink", counted(Path.unlink))


def _fill(out: Path, place: Path, old: dict[str, str], pool: Path) -> None:
    """Restore the old data set and its report in ``out``."""
    saved = place / "old"
    if not saved.exists():
        shutil.move(pool / "aa", place / "aside")
        convert(pool, saved, Settings())
        shutil.move(place / "aside", pool / "aa")
        assert data(saved) == old
    for path in saved.iterdir():
        if path.is_file():
            shutil.copy2(path, out)


def test_jobs_work_beside_threads(pool: Path, tmp_path: Path) -> None:
    """Worker processes start from a thread, where signals cannot be set."""
    reports: list[Report] = []
    thread = threading.Thread(
        target=lambda: reports.append(convert(pool, tmp_path / "out", Settings(), jobs=2))
    )
    thread.start()
    thread.join()
    assert reports[0].usable == 120


def test_sizes_that_idx_cannot_hold_are_refused(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output that exceeds the reader's limit is rejected."""
    monkeypatch.setattr("oraclezoo.data.scans.write.MAX_BYTES", 90 * 28**2)
    with pytest.raises(DataError, match=r"train images of 28 x 28 exceed .* smaller --size"):
        convert(pool, tmp_path / "out", Settings())
