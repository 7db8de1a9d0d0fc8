"""The Python client, with a real server."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.server import Process, serving
from oraclezoo.client import Client, ServerError
from oraclezoo.errors import DataError, UsageError


@pytest.fixture
def client(process: Process) -> Iterator[Client]:
    with Client(process.url) as client:
        yield client


def test_files_and_bytes_are_read(client: Client, pictures: list[bytes], tmp_path: Path) -> None:
    """Results are in order; names of files never leave the machine, so they may repeat."""
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(pictures[number])
    images = [str(tmp_path / "1.png"), b"no picture", tmp_path / "2.png", tmp_path / "1.png"]
    results = client.predict(images, top=2)
    assert [result.file for result in results] == [
        f"{tmp_path}/1.png",
        "image 2",
        f"{tmp_path}/2.png",
        f"{tmp_path}/1.png",
    ]
    assert [len(result.top) for result in results] == [2, 0, 2, 2]
    assert [results[n].best.name for n in (0, 2, 3)] == ["second", "third", "second"]
    assert "is not a BMP" in results[1].reason
    with pytest.raises(DataError, match="image 2: the file is not a BMP"):
        _ = results[1].best


def test_one_image_and_options(client: Client, pictures: list[bytes]) -> None:
    """A single image is not a sequence of them."""
    (result,) = client.predict(pictures[3], polarity="light-on-dark", box=(0, 0, 60, 60))
    assert (result.best.label, result.inverted, result.box) == (3, False, (0, 0, 60, 60))
    assert (result.unknown, result.unknown_score) == (None, None)
    assert client.predict([]) == []


def test_several_characters_have_a_result_each(client: Client, tmp_path: Path) -> None:
    """In reading order, numbered; the other image keeps its place."""
    page = np.full((120, 200), 255, np.uint8)
    for left in (20, 120):
        page[30:90, left : left + 8] = page[30:90, left + 40 : left + 48] = 0
        page[30:38, left : left + 48] = page[82:90, left : left + 48] = 0
    path = tmp_path / "page.png"
    Image.fromarray(page).save(path)
    results = client.predict([b"no picture", path], several="rows")
    assert [(result.file, result.number) for result in results] == [
        ("image 1", None),
        (str(path), 1),
        (str(path), 2),
    ]
    assert results[1].box is not None
    assert results[2].box is not None
    assert results[1].box[0] < results[2].box[0]


def test_if_all_images_fail_each_has_its_reason(client: Client) -> None:
    """As with some."""
    results = client.predict([b"a", b"b"])
    assert all("is not a BMP" in result.reason for result in results)


def test_models_and_readiness(client: Client) -> None:
    """The first model is the default."""
    assert client.ready()
    assert [entry["name"] for entry in client.models()] == ["bands"]


def test_errors_have_the_servers_message(client: Client, pictures: list[bytes]) -> None:
    """And its status."""
    with pytest.raises(ServerError, match="unknown model 'other'; available: bands") as caught:
        client.predict(pictures[0], model="other")
    assert caught.value.status == 404
    with pytest.raises(DataError, match=r"nowhere\.png: cannot be read"):
        client.predict("nowhere.png")


def test_a_missing_server_is_an_error() -> None:
    """The message says what to do."""
    with Client("http://127.0.0.1:9") as client:  # the discard port, where nothing listens
        assert not client.ready()
        with pytest.raises(ServerError, match="Is 'oraclezoo serve' running there"):
            client.models()
    with pytest.raises(UsageError, match="is not an HTTP address"):
        Client("127.0.0.1:8000")


def test_a_busy_server_is_asked_again() -> None:
    """After the pause that it asks for, as often as ``retries`` allows."""
    asked: list[str] = []

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            free = len(asked) % 3 == 0
            body = b'{"models": []}' if free else b'{"error": "busy"}'
            self.send_response(200 if free else 429)
            self.send_header("retry-after", "0")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with Client(url) as client:
            assert client.models() == []
        with Client(url, retries=1) as client, pytest.raises(ServerError, match="busy") as caught:
            client.models()
        server.shutdown()
    assert caught.value.status == 429
    assert len(asked) == 5


def test_httpx_is_asked_for() -> None:
    """One line that says what to install."""
    code = (
        "import sys; sys.modules['httpx'] = None\n"
        "from oraclezoo.client import Client\n"
        "from oraclezoo.errors import UsageError\n"
        "try: Client()\n"
        "except UsageError as error: print(error)\n"
        "print(sorted({'numpy', 'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "oraclezoo.client needs httpx",
        "Install it: pip install 'oraclezoo[serve]'",
        "[]",
    ]


@pytest.mark.parametrize("token", ["secret\nsecret", "two words", "geheim-ü"])
def test_a_token_that_cannot_be_sent_is_refused(token: str) -> None:
    """The message does not contain it."""
    with pytest.raises(UsageError, match="printable ASCII characters") as caught:
        Client(token=token)
    assert token not in str(caught.value)


def test_the_newline_of_a_token_file_is_removed(bands: Path, tmp_path: Path) -> None:
    """As the server does, so that both read the same file."""
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    with serving(tmp_path / "log", bands, "--token-file", file) as server:
        with Client(server.url, token=file.read_text()) as client:
            assert client.models()[0]["name"] == "bands"
        with Client(server.url) as client, pytest.raises(ServerError, match="send the server's"):
            client.models()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "http://127.0.0.1:port"])
def test_an_address_must_be_an_http_address(url: str) -> None:
    """The error quotes it."""
    with pytest.raises(UsageError, match=f"'{url}' is not an HTTP address"):
        Client(url)
