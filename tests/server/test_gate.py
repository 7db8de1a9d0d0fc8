"""The token, headers, CORS and the access log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from helpers.server import PATIENCE, Local, Process
from oraclezoo.errors import UsageError
from oraclezoo.server.gate import is_guarded
from oraclezoo.server.observer import Answer, Observer
from oraclezoo.server.settings import Settings, read_token

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def guarded(bands: Path) -> Iterator[Local]:
    settings = Settings(token=TOKEN, origins=("https://example.org",), access_log=False)
    with Local(bands, settings=settings) as server:
        yield server


@pytest.mark.parametrize(
    "sent", [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer ü"]
)
def test_requests_need_the_token(guarded: Local, sent: str | None) -> None:
    """Without it, nothing of the body is read."""
    headers = {} if sent is None else {"authorization": sent.encode()}
    for path in ("/v1/predict", "/v2/models/bands/infer"):
        response = guarded.post(path, content=b"x", headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer TOKEN" in response.json()["error"]
        assert TOKEN not in response.text


def test_the_token_opens_every_route(guarded: Local, pictures: list[bytes]) -> None:
    """The scheme's case does not matter."""
    for scheme in ("Bearer", "bearer"):
        headers = {"authorization": f"{scheme} {TOKEN}"}
        assert guarded.post("/v1/predict", content=pictures[0], headers=headers).is_success
        assert guarded.get("/v1/models", headers=headers).is_success


@pytest.mark.parametrize(
    ("path", "guarded"),
    [
        ("/v1/models", True),
        ("/v1", True),
        ("/v2", True),
        ("/v2/models/x/ready", True),
        ("/metrics", True),
        ("/v2/healthy", True),
        ("/v2/health/ready", False),
        ("/livez", False),
        ("/docs", False),
        ("/", False),
    ],
)
def test_probes_the_page_and_documentation_are_open(path: str, guarded: bool) -> None:
    """Everything that reads pictures or tells about them needs the token."""
    assert is_guarded(path) is guarded


@pytest.mark.parametrize("path", ["/v1/models", "/nowhere", "/docs", "/readyz"])
def test_every_response_has_security_headers(guarded: Local, path: str) -> None:
    """Errors and rejections too."""
    headers = guarded.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_origins_that_were_named_may_call(guarded: Local, local: Local) -> None:
    """A preflight carries no token; other origins, and servers without any, refuse."""
    ask = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    for server, origin, allowed in (
        (guarded, "https://example.org", "https://example.org"),
        (guarded, "https://example.com", None),
        (local, "https://example.org", None),
    ):
        headers = {"origin": origin, **ask}
        response = server.run(server.send("OPTIONS", "/v1/predict", headers=headers))
        assert response.headers.get("access-control-allow-origin") == allowed


def test_the_log_has_no_content(
    bands: Path, pictures: list[bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    """A line of JSON for each request, without pictures, file names, tokens and queries."""
    with Local(bands, settings=Settings(token=TOKEN)) as server:
        headers = {"authorization": f"Bearer {TOKEN}", "x-request-id": "mine-1"}
        files = [("images", ("secret.png", pictures[0])), ("images", ("b", b"secret"))]
        query = "/v1/predict?top=1"
        response = server.post(query, files=files, headers=headers)
        assert response.headers["x-request-id"] == "mine-1"
        server.post(query, headers={"x-request-id": "a\tb", "authorization": "Bearer wrong"})
    text = capfd.readouterr().err
    assert "secret" not in text
    assert TOKEN not in text
    assert "wrong" not in text
    assert "top" not in text
    first, second = (json.loads(line) for line in text.splitlines())
    assert first["event"] == "request"
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/predict", 200)
    assert (first["model"], first["images"], first["request_id"]) == ("bands", 2, "mine-1")
    assert (second["status"], second["reason"]) == (401, "token")
    assert len(second["request_id"]) == 16


def test_observers_see_bounded_labels(bands: Path) -> None:
    """Routes are patterns and methods are known ones, whatever clients send."""
    answers: list[Answer] = []

    class Recording(Observer):
        def answered(self, answer: Answer) -> None:
            """Keep it."""
            answers.append(answer)

    settings = Settings(access_log=False)
    with Local(bands, settings=settings, observer=Recording()) as server:
        server.get("/v2/models/some-name")
        server.get("/v2/models/bands")
        server.get("/random/7")
        server.run(server.send("BREW", "/v1/models"))
        server.post("/v1/predict", content=b"x")
    assert [(each.route, each.method, each.status, each.reason) for each in answers] == [
        ("/v2/models/{model}", "GET", 404, "model"),
        ("/v2/models/{model}", "GET", 200, ""),
        ("unmatched", "GET", 404, ""),
        ("/v1/models", "OTHER", 405, ""),
        ("/v1/predict", "POST", 422, ""),
    ]
    assert all(each.seconds >= 0 for each in answers)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "at least 16 characters"),
        (b"short\n", "at least 16 characters"),
        (b"two words of which it is\n", "without spaces"),
        ("grüße-grüße-grüße".encode(), "only ASCII characters"),
    ],
)
def test_unusable_tokens_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The error names the file, and not the token."""
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_token(file)
    assert str(file) in str(caught.value)
    file.write_bytes(f" {TOKEN}\n".encode())
    assert read_token(file) == TOKEN


def test_a_page_is_served_at_the_root(bands: Path, tmp_path: Path) -> None:
    """Its files have validators, so that browsers keep them; without a page, / leads to /docs."""
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "a.js").write_text("1")
    settings = Settings(access_log=False)
    with Local(bands, settings=settings, page=tmp_path) as server:
        assert "page" in server.get("/").text
        script = server.get("/a.js")
        assert script.headers["content-type"].startswith("text/javascript")
        again = server.get("/a.js", headers={"if-none-match": script.headers["etag"]})
        assert again.status_code == 304
        assert server.get("/../conftest.py").status_code == 404
        assert server.get("/v1/models").is_success
        wrong = server.get("/v1/predict")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert server.run(server.send("PUT", "/v1/models")).status_code == 405
        assert server.post("/a.js").status_code == 405
        for path in ("/nowhere", "/v1/predict/", "/v2/models/bands/infer/"):
            assert server.post(path).status_code == 404
    with Local(bands, settings=settings) as server:
        assert server.get("/").headers["location"] == "docs"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v1/models", "/v2/health/ready", "/docs"])
def test_head_is_served_like_get(process: Process, path: str) -> None:
    """Load balancers probe with it; the page does not shadow the routes."""
    response = httpx.head(f"{process.url}{path}", timeout=PATIENCE)
    assert (response.status_code, response.content) == (200, b"")
    document = httpx.get(f"{process.url}/openapi.json", timeout=PATIENCE).json()
    assert not any("head" in methods for methods in document["paths"].values())


def test_an_endless_token_file_is_refused(tmp_path: Path) -> None:
    """It is not read to its end."""
    with pytest.raises(UsageError, match="at most 4,096 characters"):
        read_token(Path("/dev/zero") if os.name == "posix" else long_file(tmp_path))


def long_file(folder: Path) -> Path:
    """Return a file that is longer than any token."""
    file = folder / "token"
    file.write_bytes(bytes(5000))
    return file
