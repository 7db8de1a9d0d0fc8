"""A server on this machine that hands out files, well or badly, and remembers what it was asked."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any


class FileServer(ThreadingHTTPServer):
    """Serves ``files`` by name, whatever the folder.

    ``plan`` holds how the next requests are answered, one entry each; after its end, or without
    one, ``mode`` says how. Each mode is a method of :class:`Handler`. With ``chunk_s`` the body
    comes in 32 pieces with that many seconds between. ``stalled`` ends a stall; set at the end.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.mode = "right"
        self.plan: list[str] = []
        self.chunk_s = 0.0
        self.stalled = Event()
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/folder"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error of the server's."""


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.name = self.path.rpartition("/")[2]
        self.body = self.server.files[self.name]
        self.server.asked.append(self.name)
        self.server.headers.append(dict(self.headers))
        mode = self.server.plan.pop(0) if self.server.plan else self.server.mode
        getattr(self, f"answer_{mode}")()

    def begin(self, status: int, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def whole(self, body: bytes, **fields: str) -> None:
        self.begin(200, Content_Length=str(len(body)), **fields)
        self.wfile.write(body)

    def answer_right(self) -> None:
        self.begin(200, Content_Length=str(len(self.body)))
        piece = len(self.body) if not self.server.chunk_s else max(1, len(self.body) // 32)
        for at in range(0, len(self.body), piece):
            self.wfile.write(self.body[at : at + piece])
            if self.server.chunk_s:
                time.sleep(self.server.chunk_s)

    def answer_truncated(self) -> None:
        self.begin(200, Content_Length=str(len(self.body)))
        self.wfile.write(self.body[:300])

    def drip(self, data: bytes) -> None:
        """A byte now and then, each before any timeout of a socket."""
        for byte in data:
            self.wfile.write(bytes([byte]))
            if self.server.stalled.wait(0.05):
                return

    def answer_drip(self) -> None:
        self.begin(200, Content_Length=str(len(self.body)))
        self.drip(self.body)

    def answer_drip_header(self) -> None:
        self.drip(b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 60_000)

    def answer_chunked_truncated(self) -> None:
        self.begin(200, Transfer_Encoding="chunked")
        self.wfile.write(b"%x\r\n" % len(self.body) + self.body[:300])

    def answer_chunked(self) -> None:
        self.begin(200, Transfer_Encoding="chunked")
        self.wfile.write(b"%x\r\n" % len(self.body) + self.body + b"\r\n0\r\n\r\n")

    def answer_stall(self) -> None:
        """Half of the file, then silence."""
        self.begin(200, Content_Length=str(len(self.body)))
        self.wfile.write(self.body[: len(self.body) // 2])
        self.server.stalled.wait(60)

    def answer_silence(self) -> None:
        self.server.stalled.wait(60)

    def answer_held(self) -> None:
        """Silence, and then the right answer."""
        self.server.stalled.wait(60)
        self.answer_right()

    def answer_hang_up(self) -> None:
        """The connection is closed without a word."""

    def answer_404(self) -> None:
        self.send_error(404, "\x1b[31mwords of the server's own")

    def answer_500(self) -> None:
        self.send_error(500)

    def answer_503(self) -> None:
        self.begin(503, Retry_After="7", Content_Length="0")

    def answer_429_long(self) -> None:
        self.begin(429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT", Content_Length="0")

    def answer_204(self) -> None:
        self.begin(204)

    def answer_html(self) -> None:
        self.whole(b"\n <!DOCTYPE html><title>Sign in</title>")

    def answer_wrong(self) -> None:
        self.whole(b"x" * len(self.body))

    def answer_offers_too_much(self) -> None:
        self.begin(200, Content_Length="1000000000")

    def answer_endless(self) -> None:
        self.begin(200)
        self.wfile.write(b"x" * 200_000)

    def answer_called_gzip(self) -> None:
        self.whole(self.body, Content_Encoding="gzip", Content_Type="application/octet-stream")

    def answer_redirect(self) -> None:
        self.begin(302, Location=f"/elsewhere/{self.name}", Content_Length="0")

    def answer_redirect_with_a_body(self) -> None:
        """A body that never ends, in its way."""
        self.begin(302, Location=f"/elsewhere/{self.name}", Content_Length="1000")
        self.server.stalled.wait(60)

    def answer_redirect_to_file(self) -> None:
        self.begin(302, Location="file:///etc/passwd", Content_Length="0")

    def answer_redirect_nowhere(self) -> None:
        self.begin(302, Location="http://[", Content_Length="0")

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""
