"""Downloads, against a server on this machine."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import platformdirs
import pytest

from oraclezoo.data.fetch import ensure, fetch
from oraclezoo.data.upstream import FILES, UpstreamFile
from oraclezoo.errors import DataError, DownloadError, UnknownNameError

CONTENT = {name: f"the bytes of {name} ".encode() * 50 for name in FILES}
FIRST = next(iter(FILES))


class Server(ThreadingHTTPServer):
    """Serves :data:`CONTENT`; ``mode`` says what goes wrong, ``asked`` what was asked for."""

    mode = "right"
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/folder"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        name, mode = self.path.rpartition("/")[2], self.server.mode
        self.server.asked.append(name)
        if mode == "404":
            self.send_error(404)
            return
        body = {
            "html": b"<!DOCTYPE html><title>Sign in</title>",
            "wrong": b"x" * len(CONTENT[name]),
            "endless": b"x" * 200_000,
        }.get(mode, CONTENT[name])
        self.send_response(200)
        promised = len(body) + (1000 if mode == "truncated" else 0)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server, whose files take the place of upstream's in the table of digests."""
    for number, (name, content) in enumerate(CONTENT.items()):
        if number % 2:
            digest, kind = hashlib.sha256(content).hexdigest(), "sha256"
        else:
            blob = b"blob %d\0" % len(content) + content
            digest, kind = hashlib.sha1(blob).hexdigest(), "git-blob"
        record = UpstreamFile(name, kind, digest, 100_000, None)  # type: ignore[arg-type]  # a literal
        monkeypatch.setitem(FILES, name, record)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_arrive_whole(server: Server, tmp_path: Path) -> None:
    """All four files come, verified by either kind of digest; one line of progress each."""
    lines: list[str] = []
    places = fetch(dest=tmp_path / "new" / "folder", url=server.url + "/", progress=lines.append)
    assert {name: path.read_bytes() for name, path in places.items()} == CONTENT
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 4
    assert len(lines) == 4
    assert lines[0] == f"downloading {FIRST} from {server.url}"


def test_only_what_is_lacking_or_damaged_is_fetched(server: Server, tmp_path: Path) -> None:
    """A file that matches its digest is kept as it is, one that does not is replaced."""
    fetch(dest=tmp_path, url=server.url)
    server.asked.clear()
    (tmp_path / FIRST).write_bytes(b"damaged")
    fetch(dest=tmp_path, url=server.url)
    assert server.asked == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == CONTENT[FIRST]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("404", "the server answers 404 Not Found"),
        ("html", "a web page came instead of the file"),
        ("truncated", "the download was cut short"),
        ("wrong", "git-blob of what came is"),
        ("endless", "the server sends more than the file's size"),
    ],
)
def test_a_bad_answer_leaves_nothing_behind(
    mode: str, reason: str, server: Server, tmp_path: Path
) -> None:
    """A failed download says why and what else there is, in two lines; the folder is as before."""
    (tmp_path / FIRST).write_bytes(b"an older file")
    server.mode = mode
    with pytest.raises(DownloadError, match=reason) as caught:
        fetch([FIRST], dest=tmp_path, url=server.url)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{server.url}/{FIRST}: ")
    for alternative in ("--data-dir", "mirror", "--track glyphs-3k"):
        assert alternative in second
    assert [path.name for path in tmp_path.iterdir()] == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == b"an older file"


def test_without_a_connection_the_alternatives_are_named(tmp_path: Path) -> None:
    """A server that nobody runs, or an address that is none, gives the same kind of error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "ftp://127.0.0.1", "nonsense"):
        with pytest.raises(DownloadError, match="--data-dir FOLDER"):
            fetch([FIRST], dest=tmp_path, url=url)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    """A destination below a file is refused with its path."""
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"cannot write .*file"):
        fetch([FIRST], dest=tmp_path / "file" / "below", url=server.url)


def test_an_unknown_name_is_not_asked_for(server: Server, tmp_path: Path) -> None:
    """Only upstream's names reach the server."""
    with pytest.raises(UnknownNameError):
        fetch(["../../secret"], dest=tmp_path, url=server.url)
    assert server.asked == []


def test_what_is_found_nowhere_is_fetched_into_the_cache(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ensure() downloads from the mirror that the environment names, only what it must."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    monkeypatch.setenv("ORACLEZOO_DATA_URL", server.url)
    named = tmp_path / "named"
    named.mkdir()
    with pytest.raises(DataError, match=f"no {FIRST}"):
        ensure([FIRST], named)
    assert server.asked == []
    other = list(FILES)[1]
    (named / other).touch()
    monkeypatch.setenv("ORACLEZOO_DATA", str(named))
    places = ensure([FIRST, other], None)
    assert places == {FIRST: tmp_path / "cache" / "oracle-mnist" / FIRST, other: named / other}
    assert server.asked == [FIRST]
