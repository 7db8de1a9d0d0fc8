"""Downloads from a local test server."""

from __future__ import annotations

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
from oraclezoo.data import download
from oraclezoo.data.download import Settings
from oraclezoo.data.fetch import ensure, fetch
from oraclezoo.data.upstream import FILES
from oraclezoo.errors import DataError, DownloadError, UnknownNameError

FIRST, SECOND, *_ = FILES
QUICK = Settings(connect_timeout_s=5, read_timeout_s=0.3, attempts=3, pause_s=0)


def left(folder: Path) -> list[str]:
    """Return the names in a folder, except empty lock files."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def content(server: FileServer, name: str = FIRST) -> bytes:
    return server.files[name]


def test_files_arrive_whole(server: FileServer, tmp_path: Path) -> None:
    """All four files are downloaded and verified, with a line of progress each."""
    lines: list[str] = []
    places = fetch(dest=tmp_path / "new" / "folder", url=server.url + "/", progress=lines.append)
    assert {name: path.read_bytes() for name, path in places.items()} == server.files
    assert left(tmp_path / "new" / "folder") == sorted(FILES)
    assert len(lines) == 4
    assert lines[0] == f"downloading {FIRST} from {server.url}"
    assert server.headers[0]["Accept-Encoding"] == "identity"


def test_only_what_is_lacking_or_damaged_is_fetched(server: FileServer, tmp_path: Path) -> None:
    """A file with the right digest is kept, another one replaced."""
    fetch(dest=tmp_path, url=server.url)
    server.asked.clear()
    (tmp_path / FIRST).write_bytes(b"damaged")
    fetch(dest=tmp_path, url=server.url)
    assert server.asked == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == content(server)


@pytest.mark.parametrize(
    ("mode", "reason", "attempts"),
    [
        ("404", "the server returned 404 Not Found$", 1),
        ("204", "the server returned 204 No Content", 1),
        ("html", "the server returned an HTML page instead of the file", 1),
        ("endless", "the server sent more bytes than expected", 1),
        ("offers_too_much", "the server reports 1,000,000,000 bytes, more than expected", 1),
        ("redirect_to_file", "only http:// and https:// URLs are supported", 1),
        ("redirect_nowhere", "invalid redirect URL", 1),
        ("redirect", "too many redirects", 6),
        ("500", r"the server returned 500 Internal Server Error \(attempt 3 of 3\)", 3),
        ("silence", r"the request timed out \(attempt 3 of 3\)", 3),
        ("hang_up", r"cannot connect to the server \(attempt 3 of 3\)", 3),
        ("truncated", r"incomplete download \(attempt 3 of 3\)", 3),
        ("chunked_truncated", r"incomplete download \(attempt 3 of 3\)", 3),
        ("stall", r"the server stopped sending data \(attempt 3 of 3\)", 3),
        ("429_long", "429 Too Many Requests and asks to retry after [0-9,]+ s", 1),
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
    assert left(tmp_path) == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == b"an older file"


def test_wrong_bytes_are_named_by_both_digests(server: FileServer, tmp_path: Path) -> None:
    """A file with the wrong digest is neither kept nor requested again."""
    server.mode = "wrong"
    with pytest.raises(DownloadError) as caught:
        fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert FILES[FIRST].digest in str(caught.value)
    assert "git-blob mismatch: expected " in str(caught.value)
    assert server.asked == [FIRST]
    assert left(tmp_path) == []


@pytest.mark.parametrize("mode", ["drip", "drip_header"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    mode: str, server: FileServer, tmp_path: Path
) -> None:
    """The total time limit ends a download that no socket timeout would."""
    server.mode = mode
    limited = Settings(read_timeout_s=5, total_s=0.5, slowest_bytes_per_s=1e9)
    with pytest.raises(DownloadError, match="timed out after 1 s") as caught:
        fetch([FIRST], dest=tmp_path, url=server.url, settings=limited)
    assert len(str(caught.value).splitlines()) == 2
    assert server.asked == [FIRST]
    assert left(tmp_path) == []


def test_pauses_count_towards_the_time_limit(server: FileServer, tmp_path: Path) -> None:
    """A requested pause beyond the limit prevents another attempt."""
    server.plan = ["503"]
    limited = Settings(total_s=0.2, slowest_bytes_per_s=1e9)
    with pytest.raises(DownloadError, match="timed out after"):
        fetch([FIRST], dest=tmp_path, url=server.url, settings=limited)
    assert left(tmp_path) == []


@pytest.mark.parametrize("mode", ["truncated", "chunked_truncated", "stall", "hang_up"])
def test_a_broken_download_is_tried_again(mode: str, server: FileServer, tmp_path: Path) -> None:
    """The same call downloads the file again from the start."""
    server.plan = [mode]
    lines: list[str] = []
    received: list[tuple[str, int, int | None]] = []
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK, progress=lines.append,
          received=lambda *given: received.append(given))  # fmt: skip
    assert (tmp_path / FIRST).read_bytes() == content(server)
    assert server.asked == [FIRST] * 2
    assert "retrying" in lines[1]
    assert received[-1] == (FIRST, len(content(server)), len(content(server)))
    assert left(tmp_path) == [FIRST]


def test_redirects_are_followed(server: FileServer, tmp_path: Path) -> None:
    """The body of a redirect is not read."""
    server.plan = ["redirect", "redirect_with_a_body"]
    fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert len(server.asked) == 3
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_a_gz_file_that_is_called_gzip_stays_one(server: FileServer, tmp_path: Path) -> None:
    """Content-Encoding: gzip does not make the client unpack a .gz file."""
    server.mode = "called_gzip"
    fetch([FIRST], dest=tmp_path, url=server.url)
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_pauses_grow_and_the_server_has_a_say(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pauses double unless the server requests one."""
    pauses: list[float] = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.plan = ["500", "500", "503", "500"]
    lines: list[str] = []
    fetch([FIRST], dest=tmp_path, url=server.url, settings=Settings(attempts=5, pause_s=0.5),
          progress=lines.append)  # fmt: skip
    assert pauses == [0.5, 1.0, 7.0, 4.0]
    assert lines[3] == "the server returned 503 Service Unavailable; retrying in 7 s"


def test_without_a_connection_the_alternatives_are_named(tmp_path: Path) -> None:
    """Unreachable servers and invalid URLs give the same kind of error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bad = ("ftp://127.0.0.1", "file:///etc", "nonsense", "http://[", "http://a..b", "http://:99999")
    for url in (f"http://127.0.0.1:{port}", *bad):
        with pytest.raises(DownloadError, match="--data-dir FOLDER"):
            fetch([FIRST], dest=tmp_path, url=url, settings=QUICK)
    assert left(tmp_path) == []


def test_a_password_is_not_shown(server: FileServer, tmp_path: Path) -> None:
    """It is in no message, but the server receives it."""
    url = server.url.replace("//", "//me:secret@")
    server.mode = "truncated"
    lines: list[str] = []
    with pytest.raises(DownloadError) as caught:
        fetch([FIRST], dest=tmp_path, url=url, settings=QUICK, progress=lines.append)
    assert server.url in lines[0]
    assert "secret" not in f"{lines} {caught.value}"
    assert server.headers[-1]["Authorization"].startswith("Basic ")


def test_a_folder_that_cannot_be_made_is_named(server: FileServer, tmp_path: Path) -> None:
    """The error contains the path."""
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"cannot write .*file"):
        fetch([FIRST], dest=tmp_path / "file" / "below", url=server.url)


def test_a_read_only_folder_is_named(server: FileServer, tmp_path: Path) -> None:
    """Verified files are used; others raise an error with the reason."""
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
    """A disk error is not reported as a network error."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download._Download, "_attempt", full)
    with pytest.raises(DownloadError, match=r"cannot write .*No space left on device"):
        fetch([FIRST], dest=tmp_path, url=server.url, settings=QUICK)
    assert left(tmp_path) == []


def test_an_unknown_name_is_not_asked_for(server: FileServer, tmp_path: Path) -> None:
    """Only official names are requested."""
    with pytest.raises(UnknownNameError):
        fetch(["../../secret"], dest=tmp_path, url=server.url)
    assert server.asked == []


def test_what_is_found_nowhere_is_fetched_into_the_cache(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ensure() downloads only missing files from the mirror in the environment."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    monkeypatch.setenv("ORACLEZOO_DATA_URL", server.url)
    named = tmp_path / "named"
    named.mkdir()
    with pytest.raises(DataError, match=f"missing {FIRST}"):
        ensure([FIRST], named)
    assert server.asked == []
    (named / SECOND).touch()
    monkeypatch.setenv("ORACLEZOO_DATA", str(named))
    places = ensure([FIRST, SECOND], None)
    assert places == {FIRST: tmp_path / "cache" / "oracle-mnist" / FIRST, SECOND: named / SECOND}
    assert server.asked == [FIRST]


class Proxy(BaseHTTPRequestHandler):
    """A forward proxy that serves one file for any host name."""

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
    """HTTP_PROXY and NO_PROXY apply; an invalid proxy has a clear error."""
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
        (f"http://127.0.0.1:{proxy.server_port}", "cannot connect through the proxy"),
        ("socks9://127.0.0.1", "the proxy set in the environment is invalid"),
        ("http:///nothing", "the proxy set in the environment is invalid"),
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
    """The second process waits and does not download the file again."""
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
        assert other.wait(300) == 0
    assert lines == [f"{FIRST}: waiting for another process to download it"]
    assert server.asked == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == content(server)


def test_a_killed_process_holds_nobody_up(server: FileServer, tmp_path: Path) -> None:
    """After kill -9 the next call does not wait and removes the temporary file."""
    server.plan = ["stall"]
    file = FILES[FIRST]
    command = [sys.executable, "-c", FETCH, FIRST, file.kind, file.digest, tmp_path, server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        while not server.asked:
            assert other.poll() is None
            time.sleep(0.01)
        other.kill()
    assert [name[-4:] for name in left(tmp_path)] == [".tmp"]
    lines: list[str] = []
    fetch([FIRST], dest=tmp_path, url=server.url, progress=lines.append)
    assert lines == [f"downloading {FIRST} from {server.url}"]
    assert (tmp_path / FIRST).read_bytes() == content(server)
    assert left(tmp_path) == [FIRST]


def test_a_missing_bundle_of_certificates_is_named(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing CA bundle is not reported as a disk error."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "absent.pem"))
    url = server.url.replace("http:", "https:")
    with pytest.raises(DownloadError, match="the CA bundle set in the environment"):
        fetch([FIRST], dest=tmp_path, url=url, settings=QUICK)
