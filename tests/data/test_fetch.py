"""Downloads, against a server on this machine."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import platformdirs
import pytest

from helpers.file_server import FileServer
from oraclezoo.data import transfer
from oraclezoo.data.fetch import ensure, fetch
from oraclezoo.data.transfer import Settings
from oraclezoo.data.upstream import FILES
from oraclezoo.errors import DataError, DownloadError, UnknownNameError

FIRST, SECOND, *_ = FILES
QUICK = Settings(connect_timeout_s=5, read_timeout_s=0.3, attempts=3, pause_s=0)


def visible(folder: Path) -> list[str]:
    """What lies in a folder, but for locks and downloads that broke off."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def kept(folder: Path, name: str = FIRST) -> bytes | None:
    """The bytes of a download that broke off."""
    path = folder / f".{name}.part"
    return path.read_bytes() if path.exists() else None


def begun(folder: Path, data: bytes, url: str, validator: object = '"version 1"') -> None:
    """Leave behind what a download that broke off would have."""
    (folder / f".{FIRST}.part").write_bytes(data)
    note = {"url": f"{url}/{FIRST}", "validator": validator}
    (folder / f".{FIRST}.part.json").write_text(json.dumps(note))


def content(server: FileServer, name: str = FIRST) -> bytes:
    return server.files[name]


def test_files_arrive_whole(server: FileServer, tmp_path: Path) -> None:
    """All four files come, verified by either kind of digest; one line of progress each."""
    lines: list[str] = []
    places = fetch(dest=tmp_path / "new" / "folder", url=server.url + "/", progress=lines.append)
    assert {name: path.read_bytes() for name, path in places.items()} == server.files
    assert visible(tmp_path / "new" / "folder") == sorted(FILES)
    assert kept(tmp_path / "new" / "folder") is None
    assert len(lines) == 4
    assert lines[0] == f"downloading {FIRST} from {server.url}"
    assert server.headers[0]["Accept-Encoding"] == "identity"


def test_only_what_is_lacking_or_damaged_is_fetched(server: FileServer, tmp_path: Path) -> None:
    """A file that matches its digest is kept as it is, one that does not is replaced."""
    fetch(dest=tmp_path, url=server.url)
    server.asked.clear()
    (tmp_path / FIRST).write_bytes(b"damaged")
    fetch(dest=tmp_path, url=server.url)
    assert server.asked == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == content(server)


@pytest.mark.parametrize(
    ("mode", "reason", "attempts"),
    [
        ("404", "the server answers 404 Not Found$", 1),
        ("204", "the server answers 204 No Content", 1),
        ("html", "a web page came instead of the file", 1),
        ("endless", "the server sends more than the file's size", 1),
        ("offers_too_much", "1,000,000,000 bytes are offered, more than the file's size", 1),
        ("redirect_to_file", "only http:// and https:// can be downloaded from", 1),
        ("redirect_nowhere", "the server redirects to what is no address", 1),
        ("redirect", "the server redirects without end", 6),
        ("500", r"the server answers 500 Internal Server Error \(attempt 3\)", 3),
        ("silence", r"the server does not answer in time \(attempt 3\)", 3),
        ("hang_up", r"no connection to the server \(attempt 3\)", 3),
        ("range_unsaid", r"does not go on where the download broke off \(attempt 3\)", 3),
        ("429_long", "429 Too Many Requests, and asks to be left alone for [0-9,]+ s", 1),
    ],
)
def test_a_bad_answer_leaves_nothing_behind(
    mode: str, reason: str, attempts: int, server: FileServer, tmp_path: Path
) -> None:
    """A failed download says why and what else there is, in two lines; the folder is as before.

    What may pass is tried again, what will not is not; no word of the server's is shown.
    """
    (tmp_path / FIRST).write_bytes(b"an older file")
    server.mode = mode
    with pytest.raises(DownloadError) as caught:
        fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{server.url}/{FIRST}: ")
    assert re.search(reason, first)
    assert len(server.asked) == attempts
    for alternative in ("--data-dir", "mirror", "--track glyphs-3k"):
        assert alternative in second
    assert visible(tmp_path) == [FIRST]
    assert kept(tmp_path) is None
    assert (tmp_path / FIRST).read_bytes() == b"an older file"


def test_wrong_bytes_are_named_by_both_digests(server: FileServer, tmp_path: Path) -> None:
    """Another file is refused, not kept and not asked for twice."""
    server.mode = "wrong"
    with pytest.raises(DownloadError) as caught:
        fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert FILES[FIRST].digest in str(caught.value)
    assert "the git-blob of what came is " in str(caught.value)
    assert server.asked == [FIRST]
    assert kept(tmp_path) is None
    assert visible(tmp_path) == []


@pytest.mark.parametrize("mode", ["truncated", "chunked_truncated", "stall"])
def test_what_breaks_off_is_gone_on_with(mode: str, server: FileServer, tmp_path: Path) -> None:
    """After a cut or a stall the rest alone is asked for, in the same call."""
    server.plan = [mode]
    lines: list[str] = []
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK, progress=lines.append)
    assert (tmp_path / FIRST).read_bytes() == content(server)
    size = len(content(server)) // 2 if mode == "stall" else 300
    assert server.ranges == [None, f"bytes={size}-"]
    assert "trying again" in lines[1]
    assert visible(tmp_path) == [FIRST]
    assert not list(tmp_path.glob(".*part*"))


def test_the_next_call_goes_on(server: FileServer, tmp_path: Path) -> None:
    """A call that gives up keeps what came, says so, and the next one asks for the rest."""
    server.mode = "truncated"
    with pytest.raises(DownloadError, match=r"cut short .attempt 3.; 900 bytes are kept"):
        fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert server.ranges == [None, "bytes=300-", "bytes=600-"]
    assert kept(tmp_path) == content(server)[:900]
    assert visible(tmp_path) == []
    server.mode = "right"
    received: list[tuple[str, int, int | None]] = []
    fetch([FIRST], dest=tmp_path, url=server.url, received=lambda *a: received.append(a))
    size = len(content(server))
    assert server.ranges[3] == "bytes=900-"
    assert received[-1] == (FIRST, size, size)
    assert (tmp_path / FIRST).read_bytes() == content(server)
    assert kept(tmp_path) is None


def test_a_download_that_was_complete_is_not_asked_for_again(
    server: FileServer, tmp_path: Path
) -> None:
    """Killed between the last byte and the renaming, with the note or without it."""
    begun(tmp_path, content(server), server.url)
    (tmp_path / f".{FIRST}.part.json").unlink()
    fetch([FIRST], dest=tmp_path, url=server.url)
    assert server.asked == []
    assert (tmp_path / FIRST).read_bytes() == content(server)


@pytest.mark.parametrize(
    "answers",
    [
        ["no_ranges"],
        ["chunked"],
        ["right"],
        ["range_elsewhere", "right"],
        ["range_unsaid", "right"],
        ["range_of_another", "right"],
    ],
)
def test_another_version_starts_over(
    answers: list[str], server: FileServer, tmp_path: Path
) -> None:
    """A server without ranges, or whose file has changed, or that misreads the range: from 0."""
    begun(tmp_path, b"of an older version", server.url, '"version 0"')
    server.plan = list(answers)
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert server.ranges == ["bytes=19-", None][: len(answers)]
    assert server.headers[0]["If-Range"] == '"version 0"'
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_pieces_that_do_not_fit_are_thrown_away_once(server: FileServer, tmp_path: Path) -> None:
    """A resumed file with a wrong digest is fetched from the start, once and no more."""
    begun(tmp_path, b"damaged on the disk", server.url)
    lines: list[str] = []
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK, progress=lines.append)
    assert server.ranges == ["bytes=19-", None]
    assert "the pieces do not fit" in lines[1]
    assert (tmp_path / FIRST).read_bytes() == content(server)
    (tmp_path / FIRST).unlink()
    begun(tmp_path, b"damaged on the disk", server.url)
    server.files[FIRST] = b"of another file " * 10
    with pytest.raises(DownloadError, match="another file or damaged"):
        fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert server.ranges[2:] == ["bytes=19-", None]
    assert kept(tmp_path) is None


@pytest.mark.parametrize("size", [0, 5000, 200_000])
def test_an_odd_beginning_is_no_hindrance(size: int, server: FileServer, tmp_path: Path) -> None:
    """Nothing yet, more than the server's file (416), more than any such file."""
    begun(tmp_path, bytes(size), server.url)
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert server.ranges == (["bytes=5000-", None] if size == 5000 else [None])
    assert (tmp_path / FIRST).read_bytes() == content(server)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{",
        b"[1]",
        b'{"url": 1}',
        b"[" * 100_000,
        b'{"url": "URL", "validator": 3}',
        b'{"url": "URL", "validator": "x\\r\\nEvil: 1"}',
        b'{"url": "http://another/mirror", "validator": "\\"version 1\\""}',
    ],
)
def test_a_note_that_says_nothing_of_use_starts_over(
    note: bytes, server: FileServer, tmp_path: Path
) -> None:
    """Cut short, of another mirror, or not ours: the beginning is not gone on with."""
    begun(tmp_path, content(server)[:100], server.url)
    url = f"{server.url}/{FIRST}".encode()
    (tmp_path / f".{FIRST}.part.json").write_bytes(note.replace(b"URL", url))
    fetch([FIRST], dest=tmp_path, url=server.url)
    assert server.ranges == [None]
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_a_link_in_the_place_of_the_beginning_is_not_followed(
    server: FileServer, tmp_path: Path
) -> None:
    """Nothing outside is written to."""
    begun(tmp_path, b"", server.url)
    (tmp_path / f".{FIRST}.part").unlink()
    outside = tmp_path / "outside"
    outside.write_bytes(content(server)[:100])
    (tmp_path / f".{FIRST}.part").symlink_to(outside)
    fetch([FIRST], dest=tmp_path, url=server.url)
    assert outside.read_bytes() == content(server)[:100]
    assert (tmp_path / FIRST).read_bytes() == content(server)
    assert not (tmp_path / FIRST).is_symlink()


@pytest.mark.parametrize("etag", [None, 'W/"weak"', "no quotes", '"ümlaut"'])
def test_without_a_strong_validator_nothing_is_gone_on_with(
    etag: str | None, server: FileServer, tmp_path: Path
) -> None:
    """The pieces could be of two versions; the file is fetched from the start instead."""
    server.etag = etag
    server.plan = ["truncated"]
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert server.ranges == [None, None]
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_a_web_page_costs_no_progress(server: FileServer, tmp_path: Path) -> None:
    """The login page of a network leaves the beginning of the file as it is."""
    begun(tmp_path, content(server)[:100], server.url)
    server.plan = ["html"]
    with pytest.raises(DownloadError, match=r"a web page came .*; 100 bytes are kept"):
        fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert server.ranges == ["bytes=100-", "bytes=100-"]


def test_redirects_are_followed_and_keep_the_range(server: FileServer, tmp_path: Path) -> None:
    """A mirror that sends one elsewhere, also in the middle of a file; its page is not read."""
    begun(tmp_path, content(server)[:100], server.url)
    server.plan = ["redirect", "redirect_with_a_body"]
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert server.ranges == ["bytes=100-"] * 3
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_a_gz_file_that_is_called_gzip_stays_one(server: FileServer, tmp_path: Path) -> None:
    """Many servers give a .gz file's own compression as the encoding of the transfer."""
    server.mode = "called_gzip"
    fetch([FIRST], dest=tmp_path, url=server.url)
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_pauses_grow_and_the_server_has_a_say(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as long each time, or as long as the server asks for."""
    pauses: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)
    server.plan = ["500", "500", "503", "500"]
    lines: list[str] = []
    fetch([FIRST], dest=tmp_path, url=server.url, settings=Settings(attempts=5, pause_s=0.5),
          progress=lines.append)  # fmt: skip
    assert pauses == [0.5, 1.0, 7.0, 4.0]
    assert lines[3] == "the server answers 503 Service Unavailable; trying again in 7 s"


def test_without_a_connection_the_alternatives_are_named(tmp_path: Path) -> None:
    """A server that nobody runs, or an address that is none, gives the same kind of error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bad = ("ftp://127.0.0.1", "file:///etc", "nonsense", "http://[", "http://a..b", "http://:99999")
    for url in (f"http://127.0.0.1:{port}", *bad):
        with pytest.raises(DownloadError, match="--data-dir FOLDER"):
            fetch([FIRST], dest=tmp_path, url=url, settings=QUICK)
    assert visible(tmp_path) == []
    assert kept(tmp_path) is None


def test_a_password_is_not_shown(server: FileServer, tmp_path: Path) -> None:
    """Neither in lines nor in errors nor beside the file; the server does get it."""
    url = server.url.replace("//", "//me:secret@")
    server.mode = "truncated"
    lines: list[str] = []
    with pytest.raises(DownloadError) as caught:
        fetch([FIRST], dest=tmp_path, url=url, settings=QUICK, progress=lines.append)
    note = (tmp_path / f".{FIRST}.part.json").read_text()
    assert server.url in lines[0]
    assert "secret" not in f"{lines} {caught.value} {note}"
    assert server.headers[-1]["Authorization"].startswith("Basic ")
    assert server.ranges[-1] == "bytes=600-"


def test_a_folder_that_cannot_be_made_is_named(server: FileServer, tmp_path: Path) -> None:
    """A destination below a file is refused with its path."""
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"cannot write .*file"):
        fetch([FIRST], dest=tmp_path / "file" / "below", url=server.url)


def test_a_read_only_folder_is_named(server: FileServer, tmp_path: Path) -> None:
    """What is there and right is used; what is not is refused with the reason."""
    fetch([FIRST], dest=tmp_path, url=server.url)
    tmp_path.chmod(0o555)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        assert fetch([FIRST], dest=tmp_path, url=server.url) == {FIRST: tmp_path / FIRST}
        with pytest.raises(DownloadError, match=r"cannot write .*Permission denied"):
            fetch([SECOND], dest=tmp_path, url=server.url)
    finally:
        tmp_path.chmod(0o755)


def test_a_full_disk_is_named(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk is not taken for one of the network."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer.Transfer, "_write", full)
    with pytest.raises(DownloadError, match=r"cannot write .*No space left on device"):
        fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert server.asked == [FIRST]


def test_an_unknown_name_is_not_asked_for(server: FileServer, tmp_path: Path) -> None:
    """Only upstream's names reach the server."""
    with pytest.raises(UnknownNameError):
        fetch(["../../secret"], dest=tmp_path, url=server.url)
    assert server.asked == []


def test_what_is_found_nowhere_is_fetched_into_the_cache(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ensure() downloads from the mirror that the environment names, only what it must."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    monkeypatch.setenv("ORACLEZOO_DATA_URL", server.url)
    named = tmp_path / "named"
    named.mkdir()
    with pytest.raises(DataError, match=f"no {FIRST}"):
        ensure([FIRST], named)
    assert server.asked == []
    (named / SECOND).touch()
    monkeypatch.setenv("ORACLEZOO_DATA", str(named))
    places = ensure([FIRST, SECOND], None)
    assert places == {FIRST: tmp_path / "cache" / "oracle-mnist" / FIRST, SECOND: named / SECOND}
    assert server.asked == [FIRST]


class Proxy(BaseHTTPRequestHandler):
    """A forward proxy for one file, under any host name."""

    asked: list[str]
    body: bytes

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


def test_proxies_of_the_environment_are_respected(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY carries the request, NO_PROXY exempts a host; a bad proxy is named as one."""
    handler = type("H", (Proxy,), {"asked": [], "body": content(server)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        fetch([FIRST], dest=tmp_path / "a", url="http://mirror.invalid/folder")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        fetch([FIRST], dest=tmp_path / "b", url=server.url)
        proxy.shutdown()
    assert handler.asked == [f"http://mirror.invalid/folder/{FIRST}"]  # type: ignore[attr-defined]
    assert server.asked == [FIRST]
    for address, complaint in (
        (f"http://127.0.0.1:{proxy.server_port}", "no connection through the proxy"),
        ("socks9://127.0.0.1", "the proxy named in the environment cannot be used"),
        ("http:///nothing", "the proxy named in the environment cannot be used"),
    ):
        monkeypatch.setenv("HTTP_PROXY", address)
        with pytest.raises(DownloadError, match=complaint):
            fetch([FIRST], dest=tmp_path / "c", url="http://mirror.invalid", settings=QUICK)


FETCH = """
import sys
from pathlib import Path
from oraclezoo.data import fetch, upstream
name, kind, digest, dest, url = sys.argv[1:]
upstream.FILES[name] = upstream.UpstreamFile(name, kind, digest, 100_000, None)
fetch.fetch([name], dest=Path(dest), url=url, progress=lambda line: print(line, flush=True))
"""


def test_two_processes_take_turns(server: FileServer, tmp_path: Path) -> None:
    """The second one says that it waits, then finds the file done: it is asked for once."""
    server.plan = ["held"]
    file = FILES[FIRST]
    command = [sys.executable, "-c", FETCH, FIRST, file.kind, file.digest, tmp_path, server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().startswith("downloading")
        lines: list[str] = []

        def progress(line: str) -> None:
            lines.append(line)
            server.stalled.set()  # the other one goes on when this one waits

        fetch([FIRST], dest=tmp_path, url=server.url, progress=progress)
        assert other.wait(60) == 0
    assert lines == [f"{FIRST}: waiting for another process that downloads it"]
    assert server.asked == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_the_lock_of_a_killed_process_holds_nobody_up(server: FileServer, tmp_path: Path) -> None:
    """kill -9 in the middle: the next call neither waits nor starts over."""
    server.plan = ["stall"]
    file = FILES[FIRST]
    command = [sys.executable, "-c", FETCH, FIRST, file.kind, file.digest, tmp_path, server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        while not kept(tmp_path):
            assert other.poll() is None
            time.sleep(0.01)
        other.kill()
    size = len(kept(tmp_path) or b"")
    lines: list[str] = []
    fetch([FIRST], dest=tmp_path, url=server.url, progress=lines.append)
    assert lines == [f"downloading {FIRST} from {server.url}"]
    assert server.ranges == [None, f"bytes={size}-"]
    assert (tmp_path / FIRST).read_bytes() == content(server)
