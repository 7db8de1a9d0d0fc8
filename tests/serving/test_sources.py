"""Expansion of predict's arguments into images."""

from __future__ import annotations

import io
import os
import threading
from io import BytesIO
from pathlib import Path

import pytest

from oraclezoo.errors import DataError
from oraclezoo.imaging.decode import TOO_LARGE
from oraclezoo.serving import sources
from oraclezoo.serving.sources import Source, expand, paths_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with images and other files, some hidden, some in subfolders."""
    names = "10.png 2.PNG notes.txt .hidden.png b/1.jpg b/.git/x.png a/deep/er/c.bmp Thumbs.db"
    for name in names.split():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def names(*arguments: str | Path) -> list[str]:
    return [source.name for source in expand(map(str, arguments), BytesIO())]


def test_a_folder_stands_for_the_images_below_it(folder: Path) -> None:
    """Natural order, without hidden files and files of other extensions."""
    actual = [Path(name).relative_to(folder).as_posix() for name in names(folder)]
    assert actual == ["2.PNG", "10.png", "a/deep/er/c.bmp", "b/1.jpg"]


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    """Circular links do not matter."""
    (folder / "b" / "back").symlink_to(folder)
    assert len(names(folder)) == 4


def test_a_pattern_stands_for_what_it_matches(folder: Path) -> None:
    """Patterns match files only, in natural order; ``**`` is recursive."""
    assert names(folder / "*") == [
        str(folder / n) for n in ("2.PNG", "10.png", "Thumbs.db", "notes.txt")
    ]
    assert names(folder / "**" / "*.bmp") == [str(folder / "a/deep/er/c.bmp")]


def test_a_file_is_taken_whatever_its_name(folder: Path) -> None:
    """Names like patterns and missing files become sources too; reading reports the error."""
    odd = folder / "[1].png"
    odd.write_bytes(b"x")
    assert names(odd, folder / "notes.txt", "nowhere.png") == [
        str(odd),
        str(folder / "notes.txt"),
        "nowhere.png",
    ]
    (source,) = expand([str(odd)], BytesIO())
    assert source.read() == b"x"


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("nowhere.png", "cannot be read .No such file"),
        ("nul\0.png", "cannot be read"),
        ("*.nothing", "no file matches"),
        ("empty", "no images in this folder"),
    ],
)
def test_what_stands_for_nothing_says_so(
    argument: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source with a reason is yielded, so that the others are still read."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    (source,) = expand([argument], BytesIO())
    assert source.name == argument
    with pytest.raises(DataError, match=reason):
        source.read()


def test_standard_input_is_one_image() -> None:
    """The size limit of files applies."""
    (source,) = expand(["-"], BytesIO(b"bytes"))
    assert (source.name, source.read()) == ("stdin", b"bytes")


def test_a_large_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the limit."""
    stream = BytesIO(b"x" * 5000)
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr("oraclezoo.imaging.prepare.MAX_FILE_BYTES", 1000)
    with pytest.raises(DataError, match=TOO_LARGE):
        Source("stdin", stream).read()
    assert stream.tell() == 1001


def test_paths_come_one_a_line() -> None:
    """Any line ending and encoding works; empty lines are skipped."""
    text = "a.png\r\n\n日.png\n".encode() + b"\xff.png"
    assert list(paths_in(BytesIO(text))) == ["a.png", "日.png", os.fsdecode(b"\xff.png")]


def test_sources_are_found_as_they_are_asked_for(folder: Path) -> None:
    """The first image is yielded before the second argument is expanded."""

    def arguments():  # type: ignore[no-untyped-def]  # a generator that must not go on
        yield str(folder / "2.PNG")
        raise AssertionError("asked for more")

    assert next(expand(arguments(), BytesIO())).name.endswith("2.PNG")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_in_a_folder_is_not_opened(tmp_path: Path) -> None:
    """Nobody writes to it; a pipe that is named is read."""
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"b")
    names = [source.name for source in expand([str(tmp_path)], io.BytesIO())]
    assert names == [str(tmp_path / "b.png")]
    (source,) = expand([str(tmp_path / "a.png")], io.BytesIO())
    writer = threading.Thread(target=(tmp_path / "a.png").write_bytes, args=(b"a",))
    writer.start()
    assert source.read() == b"a"
    writer.join()
