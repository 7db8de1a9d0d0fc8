"""Archives of scans: read without unpacking, hostile ones rejected."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oraclezoo.data.scans import archive as module
from oraclezoo.data.scans.convert import Settings, convert
from oraclezoo.data.tracks import idx
from oraclezoo.errors import DataError
from oraclezoo.imaging.formats import NAMES

Write = Callable[..., Path]
CLASSES = ("0", "1", "2")


@pytest.fixture
def upstream(tmp_path: Path, write: Write) -> Path:
    """A folder with the layout of the official archive: train and test with class folders."""
    for label, name in enumerate(CLASSES):
        for number in range(30):
            side = "test" if number < 8 else "train"
            write(tmp_path / "oracle" / side / name / f"{number}.bmp", 100 * label + number)
    return tmp_path / "oracle"


def tar(source: Path, path: Path, mode: str = "w:gz", arcname: str = ".") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # mode is a variable
        archive.add(source, arcname)
    return path


def zipped(source: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(source.rglob("*")):
            archive.write(file, file.relative_to(source).as_posix())
    return path


def images(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.gz")}


@pytest.mark.parametrize(
    ("mode", "arcname"),
    [("w:gz", "."), ("w:gz", "oracle/raw"), ("w", "x"), ("w:bz2", "."), ("w:xz", ".")],
)
def test_upstreams_archive_works_directly(
    mode: str, arcname: str, upstream: Path, tmp_path: Path
) -> None:
    """The result equals that of the folder for any compression and enclosing folders."""
    from_folder = convert(upstream, tmp_path / "a", Settings(naming="folders"))
    packed = tar(upstream, tmp_path / "oracle.bin", mode, arcname)
    report = convert(packed, tmp_path / "b", Settings(), jobs=2)
    assert images(tmp_path / "a") == images(tmp_path / "b")
    assert report.source_sha256 == from_folder.source_sha256
    assert (report.source_kind, report.split_folders) == ("tar archive", ("train", "test"))
    assert len(idx(data_dir=tmp_path / "b").split("test").labels) == 24
    assert not list(tmp_path.rglob("0.bmp"))[4:]  # nothing was unpacked beside the source
    again = convert(packed, tmp_path / "b", Settings())
    assert (again.prepared, again.reused) == (0, 90)


def test_zip_archives_work(upstream: Path, tmp_path: Path) -> None:
    """The result is the same, also with backslashes in member names."""
    expected = convert(upstream, tmp_path / "a", Settings())
    report = convert(zipped(upstream, tmp_path / "o.zip"), tmp_path / "b", Settings())
    assert images(tmp_path / "a") == images(tmp_path / "b")
    assert report.source_sha256 == expected.source_sha256
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        for file in sorted(upstream.rglob("*.bmp")):
            info = zipfile.ZipInfo()
            info.filename = str(file.relative_to(upstream)).replace("/", "\\")
            archive.writestr(info, file.read_bytes())
    convert(tmp_path / "w.zip", tmp_path / "c", Settings())
    assert images(tmp_path / "a") == images(tmp_path / "c")


def with_members(source: Path, path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Write a tar archive of ``source`` with additional members."""
    with tarfile.open(path, "w:gz") as archive:
        archive.add(source, ".")
        for info, content in members:
            info.size = info.size or len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name: str, type: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type, link
    return info


def test_hostile_members_are_rejected_one_by_one(upstream: Path, tmp_path: Path) -> None:
    """Outside paths, links and devices are reported and not written."""
    scan = (upstream / "train" / "0" / "9.bmp").read_bytes()
    before = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    members = [
        (member("../../train/0/up.bmp"), scan),
        (member("train/0/../../../../evil.bmp"), scan),
        (member("/tmp/absolute.bmp"), scan),
        (member("train/0/link.bmp", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (member("train/0/hard.bmp", tarfile.LNKTYPE, "train/0/9.bmp"), b""),
        (member("train/0/pipe.bmp", tarfile.FIFOTYPE), b""),
        (member("train/0/device.bmp", tarfile.CHRTYPE), b""),
        (member("train/1/large.bmp"), bytes((64 << 20) + 1)),
        (member("train/1/name\n\x1b[31m.bmp"), b"not an image"),
        (member("readme.md"), b"hello"),
    ]
    packed = with_members(upstream, tmp_path / "h.tar.gz", members)
    report = convert(packed, tmp_path / "out", Settings())
    outside, link = "path outside the archive", "link or device, not a regular file"
    assert dict(report.rejected) == {
        "../../train/0/up.bmp": outside,
        "train/0/../../../../evil.bmp": outside,
        "/tmp/absolute.bmp": outside,
        "train/0/link.bmp": link,
        "train/0/hard.bmp": link,
        "train/0/pipe.bmp": link,
        "train/0/device.bmp": link,
        "train/1/large.bmp": "the file is larger than 64 MiB",
        "train/1/name\\n\\x1b[31m.bmp": f"the file is not a {NAMES} image",
    }
    assert dict(report.ignored) == {"readme.md": "not an image file extension"}
    assert report.usable == 90
    assert not Path("/tmp/absolute.bmp").exists()
    after = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    assert after == before


def test_hostile_zip_members_are_rejected_one_by_one(upstream: Path, tmp_path: Path) -> None:
    """Also encrypted members, and those with wrong sizes or checksums."""
    scan = (upstream / "train" / "0" / "9.bmp").read_bytes()
    path = zipped(upstream, tmp_path / "h.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.bmp", scan)
        archive.writestr("train/0/large.bmp", bytes((64 << 20) + 1))
        link = zipfile.ZipInfo("train/0/link.bmp")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("train/0/locked.bmp", scan)
        archive.writestr("train/0/wrong.bmp", scan)
    content = bytearray(path.read_bytes())
    locked = content.rindex(b"PK\x01\x02", 0, content.rindex(b"train/0/locked.bmp"))
    content[locked + 8] |= 1
    wrong = content.rindex(b"PK\x01\x02", 0, content.rindex(b"train/0/wrong.bmp"))
    content[wrong + 16] ^= 255
    path.write_bytes(content)
    report = convert(path, tmp_path / "out", Settings())
    reasons = dict(report.rejected)
    assert "Bad CRC-32" in reasons.pop("train/0/wrong.bmp")
    assert reasons == {
        "../../evil.bmp": "path outside the archive",
        "train/0/large.bmp": "the file is larger than 64 MiB",
        "train/0/link.bmp": "link or device, not a regular file",
        "train/0/locked.bmp": "encrypted",
    }
    assert report.usable == 90


def test_of_two_members_of_one_name_the_later_counts(upstream: Path, tmp_path: Path) -> None:
    """As if the archive were unpacked."""
    other = (upstream / "train" / "1" / "9.bmp").read_bytes()
    packed = with_members(upstream, tmp_path / "t.tar.gz", [(member("./train/0/9.bmp"), other)])
    (upstream / "train" / "0" / "9.bmp").write_bytes(other)
    convert(upstream, tmp_path / "a", Settings())
    convert(packed, tmp_path / "b", Settings())
    assert images(tmp_path / "a") == images(tmp_path / "b")


@pytest.mark.parametrize("share", [0.0001, 0.1, 0.5, 0.97, 0.9999])
@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip"])
def test_archives_cut_short_are_refused(
    kind: str, share: float, upstream: Path, tmp_path: Path
) -> None:
    """A truncated archive is rejected as a whole, in one line, and nothing is written."""
    if kind == "zip":
        path = zipped(upstream, tmp_path / "a.zip")
    else:
        path = tar(upstream, tmp_path / "a", "w:gz" if kind == "tar.gz" else "w")
    content = path.read_bytes()
    if kind == "tar":
        content = content.rstrip(b"\0")  # its padding may go
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError) as caught:
        convert(path, tmp_path / "out", Settings())
    assert str(caught.value).startswith(str(path))
    assert not (tmp_path / "out").exists()


def test_damage_inside_an_archive_is_seen(upstream: Path, tmp_path: Path) -> None:
    """A corrupt header in the middle is not mistaken for the end."""
    path = tmp_path / "a.tar"
    for format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(path, "w", format=format) as archive:
            archive.add(upstream, ".")
        content = bytearray(path.read_bytes())
        at = content.index(b"./train/1")
        content[at + 148 : at + 156] = b"77777777"  # the header's checksum
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"invalid member header|bad checksum"):
            convert(path, tmp_path / "out", Settings())
    packed = gzip.compress(tar(upstream, tmp_path / "b.tar", "w").read_bytes())
    path.write_bytes(packed[:-8] + bytes(8))  # gzip's own checksum
    with pytest.raises(DataError, match="corrupt or truncated"):
        convert(path, tmp_path / "out", Settings())


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_archives_are_read_or_refused(
    data: st.DataObject, upstream: Path, tmp_path: Path
) -> None:
    """Any changed bytes give a listing or DataError."""
    kind = data.draw(st.sampled_from(["w", "w:gz", "zip"]))
    path = tmp_path / f"d-{kind.replace(':', '')}"
    original = tmp_path / f"o-{kind.replace(':', '')}"
    if not original.exists():
        if kind == "zip":
            zipped(upstream / "test", original)
        else:
            tar(upstream / "test", original, kind)
    content = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    source = module.Zip(path) if kind == "zip" else module.Tar(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            files = source.listing().files
            for _, actual in source.contents(files):
                assert isinstance(actual, (bytes, str))
        except DataError as error:
            seen = str(error)
        else:
            seen = str(path)
    assert seen.startswith(str(path))


def test_bombs_are_refused_unopened(
    upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Huge members, endless headers and huge totals are rejected by their declared sizes."""
    out = tmp_path / "out"
    huge = member("train/0/huge.bmp")
    path = tmp_path / "bomb.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(upstream, ".")
        huge.size = 1 << 42
        archive.fileobj.write(huge.tobuf())  # type: ignore[union-attr]  # a header alone
    with pytest.raises(DataError, match="unpacks to more than the limit of 16 GiB"):
        convert(path, out, Settings())
    header = member("x", tarfile.XHDTYPE)
    header.size = 1 << 36
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    with pytest.raises(DataError, match="invalid archive: a header of 68,719,476,736 bytes"):
        convert(path, out, Settings())
    monkeypatch.setattr(module, "_MIN_LIMIT", 1 << 20)
    monkeypatch.setattr(module, "_MAX_RATIO", 5)
    path = with_members(
        upstream, path, [(member(f"train/0/{n}.txt"), bytes(1 << 20)) for n in "ab"]
    )
    with pytest.raises(DataError, match="unpacks to more than the limit"):
        convert(path, out, Settings())
    path.write_bytes(
        gzip.compress(gzip.decompress(tar(upstream, path).read_bytes()) + bytes(9 << 20))
    )
    with pytest.raises(DataError, match="unpacks to more than the limit"):
        convert(path, out, Settings())
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in CLASSES:
            archive.writestr(f"{name}/a.bmp", bytes(1 << 20))
    with pytest.raises(DataError, match="unpacks to more than the limit"):
        convert(tmp_path / "bomb.zip", out, Settings())
    monkeypatch.undo()
    monkeypatch.setattr(module, "MAX_MEMBERS", 50)
    with pytest.raises(DataError, match="more than 50 members"):
        convert(tar(upstream, path), out, Settings())
    assert not out.exists()


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    """Text, an empty file, gzip of something else, an image."""
    path = tmp_path / "source"
    contents = (b"hello", b"", gzip.compress(b"hello" * 999), b"BM" + struct.pack("<I", 99) * 40)
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a folder or a complete tar or zip archive"):
            convert(path, tmp_path / "out", Settings())


def test_an_archive_that_changes_meanwhile_is_an_error(
    upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change between listing and reading never gives a mixture."""
    path = tar(upstream, tmp_path / "a.tar.gz")
    original = module.Tar.listing

    def listing(self: module.Tar) -> object:
        actual = original(self)
        shutil.rmtree(upstream / "train")
        tar(upstream, path)
        return actual

    monkeypatch.setattr(module.Tar, "listing", listing)
    with pytest.raises(DataError, match="changed while being read"):
        convert(path, tmp_path / "out", Settings())
