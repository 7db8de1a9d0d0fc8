"""Location of Oracle-MNIST's files and verification of their digests."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from pathlib import Path

import platformdirs
import pytest
from click.testing import CliRunner

from oraclezoo.cli import cli
from oraclezoo.data import fetch, locate, upstream
from oraclezoo.data.upstream import FILES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES
from oraclezoo.errors import DataError, UnknownNameError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user cache; returns the download folder."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "oracle-mnist"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """An empty folder that the user specifies."""
    folder = tmp_path / "named"
    folder.mkdir()
    return folder


def test_data_dir_is_the_only_place_when_given(
    cache: Path, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file missing from an explicit folder is an error, even if it is elsewhere."""
    (cache / TEST_IMAGES).touch()
    (named / TEST_LABELS).touch()
    monkeypatch.setenv("ORACLEZOO_DATA", str(cache))
    with pytest.raises(DataError) as caught:
        locate.find([TEST_IMAGES, TEST_LABELS], named)
    assert str(caught.value).splitlines()[0] == f"{named}: missing {TEST_IMAGES}"
    assert locate.find([TEST_LABELS], named) == {TEST_LABELS: named / TEST_LABELS}


def test_the_variable_comes_before_the_cache(
    cache: Path, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder, $ORACLEZOO_DATA is searched, then the cache, file by file."""
    (cache / TEST_IMAGES).touch()
    (cache / TEST_LABELS).touch()
    (named / TEST_LABELS).touch()
    assert locate.find([TEST_LABELS], None)[TEST_LABELS].parent == cache
    monkeypatch.setenv("ORACLEZOO_DATA", str(named))
    actual = locate.find([TEST_IMAGES, TEST_LABELS], None)
    assert [path.parent for path in actual.values()] == [cache, named]


def test_a_folder_that_is_not_there_is_an_error(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the folder and where its path came from."""
    with pytest.raises(DataError, match=r"data folder .*absent: no such folder"):
        locate.find([TEST_IMAGES], tmp_path / "absent")
    monkeypatch.setenv("ORACLEZOO_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match=r"ORACLEZOO_DATA .*typo: no such folder"):
        locate.find([TEST_IMAGES], None)


def test_unpacked_files_are_found(named: Path) -> None:
    """NAME without .gz is accepted, after NAME.gz, if its digest is known."""
    plain = named / TEST_IMAGES.removesuffix(".gz")
    plain.touch()
    assert locate.find([TEST_IMAGES], named) == {TEST_IMAGES: plain}
    (named / TEST_IMAGES).touch()
    assert locate.find([TEST_IMAGES], named) == {TEST_IMAGES: named / TEST_IMAGES}
    training = named / TRAIN_IMAGES.removesuffix(".gz")
    training.touch()
    assert locate.find([TRAIN_IMAGES], named) == {TRAIN_IMAGES: training}
    assert FILES[TRAIN_IMAGES].expected(training) == (
        "git-blob",
        "60595bc623c8e7bae065caae97112f6dfb5dbb15",
    )


def test_an_unknown_file_name_is_an_error(named: Path) -> None:
    """Only the four official names are known."""
    with pytest.raises(UnknownNameError, match=r"did you mean 't10k-images-idx3-ubyte.gz'"):
        locate.find(["t10k-images-idx3-ubyte"], named)


def test_verify_tells_the_four_states_apart(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is ok, missing, a mismatch, or unreadable."""
    right, wrong, unreadable, _ = FILES
    (named / right).write_bytes(b"right")
    blob = hashlib.sha1(b"blob 5\0right").hexdigest()
    monkeypatch.setitem(FILES, right, upstream.UpstreamFile(right, "git-blob", blob, 5, None))
    (named / wrong).write_bytes(b"wrong")
    (named / unreadable).touch()
    real = upstream.digest

    def digest(path: Path, kind: upstream.DigestKind) -> str:
        if path.name == unreadable:
            raise PermissionError
        return real(path, kind)

    monkeypatch.setattr(locate, "digest", digest)
    checks = locate.verify(named)
    assert [check.status for check in checks] == ["ok", "mismatch", "unreadable", "missing"]
    assert checks[0].actual == checks[0].expected == blob
    assert checks[1].actual == hashlib.sha256(b"wrong").hexdigest()
    assert checks[3].path is None
    assert list(checks[3].__slots__) == ["name", "path", "status", "kind", "expected", "actual"]


@pytest.mark.realdata
def test_the_real_files_are_the_published_ones(oracle_dir: Path, tmp_path: Path) -> None:
    """The local files match their digests, packed and unpacked."""
    states = {check.name: check.status for check in locate.verify(oracle_dir)}
    assert states[TEST_IMAGES] == states[TEST_LABELS] == "ok"
    for name, state in states.items():
        if state == "ok" and FILES[name].unpacked_sha256 is not None:
            unpacked = gzip.decompress((oracle_dir / name).read_bytes())
            (tmp_path / FILES[name].unpacked_name).write_bytes(unpacked)
            assert FILES[name].max_bytes == (oracle_dir / name).stat().st_size
    assert {c.name for c in locate.verify(tmp_path) if c.status == "ok"} >= {
        TEST_IMAGES,
        TEST_LABELS,
    }


def blob(content: bytes) -> str:
    """Return Git's object name of a file."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


def test_both_uploads_are_recognised(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The earlier one by the first digits of Git's object name, the current one by any digest."""
    record = upstream.UpstreamFile(
        TRAIN_IMAGES,
        "sha256",
        hashlib.sha256(b"packed").hexdigest(),
        100,
        None,
        unpacked_blob=blob(b"unpacked"),
        earlier_blob=blob(b"earlier")[:8],
    )
    path = named / "any name"
    for content, date in (
        (b"packed", upstream.CURRENT),
        (b"unpacked", upstream.CURRENT),
        (b"earlier", upstream.EARLIER),
        (b"other", None),
    ):
        path.write_bytes(content)
        assert upstream.upload(record, path) == date
    monkeypatch.setitem(FILES, TRAIN_IMAGES, record)
    unpacked = named / record.unpacked_name
    unpacked.write_bytes(b"unpacked")
    assert locate.check(record, unpacked).status == "ok"
    unpacked.write_bytes(b"unpacker")
    assert locate.check(record, unpacked).status == "mismatch"


def test_a_file_of_the_earlier_upload_is_not_the_published_one(
    named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``verify`` and the tracks refuse it and say why."""
    record = dataclasses.replace(FILES[TEST_LABELS], earlier_blob=blob(b"earlier")[:8])
    monkeypatch.setitem(FILES, TEST_LABELS, record)
    path = named / TEST_LABELS
    path.write_bytes(b"earlier")
    with pytest.raises(DataError, match=r"upload of 2022-05-13.*different orders"):
        fetch.verified(record, path)
    done = CliRunner().invoke(cli, ["data", "verify", str(named)])
    assert done.exit_code == 3
    assert f"{TEST_LABELS}: upstream's upload of 2022-05-13" in done.stderr


@pytest.mark.realdata
def test_the_real_files_are_of_the_current_upload(oracle_dir: Path, tmp_path: Path) -> None:
    """Packed, unpacked, and under another name."""
    for name in (TEST_IMAGES, TEST_LABELS):
        content = (oracle_dir / name).read_bytes()
        for form in (content, gzip.decompress(content)):
            path = tmp_path / "copy"
            path.write_bytes(form)
            assert upstream.upload(FILES[name], path) == upstream.CURRENT
        assert upstream.upload(FILES[TRAIN_IMAGES], oracle_dir / name) is None
