"""The cache of generated characters."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from oraclezoo.data import glyphs
from oraclezoo.data.dataset import ArraySplit
from oraclezoo.data.generated import Part, open_generated
from oraclezoo.data.idx import write_idx

PARTS = {
    "train": Part(1, (3,) * 10),
    "validation": Part(2, (1,) * 10),
    "test": Part(3, (2,) * 10),
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user cache."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(name: str = "train") -> tuple[ArraySplit, list[str]]:
    """Return a split of a newly opened data set, and the progress lines (none if cached)."""
    lines: list[str] = []
    return open_generated(PARTS, lines.append).split(name), lines


def same(a: ArraySplit, b: ArraySplit) -> bool:
    return np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels)


def test_the_second_time_comes_from_the_cache(cache: Path) -> None:
    """Images are generated once; the cache returns the same ones."""
    first, lines = read()
    assert lines == ["generating 30 characters"]
    second, lines = read()
    assert lines == []
    assert same(first, second)
    assert second.labels.dtype == np.int64
    assert len(list((cache / "generated").glob("[!.]*"))) == 3


@pytest.mark.parametrize("name", ["images", "labels", ".json"])
def test_a_damaged_cache_is_made_anew(cache: Path, name: str) -> None:
    """Truncated, missing, empty and altered files are not used."""
    first, _ = read()
    (path,) = (cache / "generated").glob(f"[!.]*{name}*")
    whole = path.read_bytes()
    turned = whole[:-5] + bytes((whole[-5] ^ 1,)) + whole[-4:]
    for data in (whole[:-1], b"", turned, b"[" * 100_000):
        path.write_bytes(data)
        again, lines = read()
        assert len(lines) == 1
        assert same(first, again)
        assert path.read_bytes() == whole
    path.unlink()
    assert same(read()[0], first)
    assert path.read_bytes() == whole


def test_images_with_the_labels_of_others_are_not_used(cache: Path) -> None:
    """Images and labels of different orders are detected despite equal counts."""
    first, _ = read()
    (path,) = (cache / "generated").glob("[!.]*labels*")
    write_idx(path, first.labels[::-1].astype(np.uint8))
    assert not np.array_equal(first.labels, first.labels[::-1])
    again, lines = read()
    assert len(lines) == 1
    assert same(first, again)


def test_two_at_a_time_generate_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process waits and uses the result of the first."""
    real, waiting = glyphs.generate, threading.Event()

    def generate(counts, seed):  # type: ignore[no-untyped-def]  # passes through
        waiting.wait(30)
        return real(counts, seed)

    monkeypatch.setattr(glyphs, "generate", generate)
    lines: list[str] = []

    def progress(line: str) -> None:
        lines.append(line)
        if line.startswith("waiting"):
            waiting.set()

    def work() -> None:
        splits.append(open_generated(PARTS, progress).split("train"))

    splits: list[ArraySplit] = []
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(lines) == [
        "generating 30 characters",
        "waiting for another process to generate these characters",
    ]
    assert same(*splits)


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    """Images are generated even if the cache folder cannot be created."""
    cache.touch()
    split, lines = read()
    assert len(split.labels) == 30
    assert len(lines) == 1


def test_another_generator_has_other_files(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version neither uses nor overwrites the old one's cache."""
    before = open_generated(PARTS, None).sha256["generated"]
    read()
    monkeypatch.setattr(glyphs, "VERSION", "another")
    assert open_generated(PARTS, None).sha256["generated"] != before
    assert len(read()[1]) == 1


def test_only_the_splits_that_were_read_are_generated(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training does not generate the test split; digests cover the splits read."""
    seeds = []
    real = glyphs.generate

    def generate(counts, seed):  # type: ignore[no-untyped-def]  # passes through
        seeds.append(seed)
        return real(counts, seed)

    monkeypatch.setattr(glyphs, "generate", generate)
    dataset = open_generated(PARTS, None)
    dataset.split("train")
    dataset.split("validation")
    assert seeds == [1, 2]
    assert list(dataset.sha256) == ["generated", "generated train", "generated validation"]
