"""The page in a headless Chromium, in both of its homes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from helpers.bands import write_model
from helpers.page_models import add_unknown
from oraclezoo.page.runtime import Runtime
from oraclezoo.page.write import PageModel, write_page
from oraclezoo.serving.names import locate

SCRIPT = Path(__file__).with_name("browser.mjs")

Browse = Callable[..., Any]


class QuietHandler(SimpleHTTPRequestHandler):
    """A plain file server, as any host of static pages."""

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def static(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a page whose models run in the browser."""
    out = tmp_path_factory.mktemp("static") / "page"
    models = [PageModel(name, locate(name)) for name in ("oraclenet_s", "oraclenet_n")]
    source = write_model(out.parent / "bands")
    models.append(PageModel("strict", add_unknown(source, out.parent / "strict", 0.0)))
    write_page(out, models, Runtime.open(dist))
    handler = partial(QuietHandler, directory=str(out))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """Return the address of ``oraclezoo serve``."""
    pytest.importorskip("oraclezoo.server.app")
    command = [sys.executable, "-m", "oraclezoo", "serve", "oraclenet_s", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        started = json.loads(process.stderr.readline())
        drain = Thread(target=process.stderr.read, daemon=True)  # or a full pipe stops its log
        drain.start()
        yield f"{started['url']}/"
        process.terminate()


@pytest.fixture(scope="module")
def browse(node: str, modules: Path, chromium: str) -> Browse:
    """Return a function that runs scenarios of browser.mjs and checks what every one must."""

    def run(address: str, *scenarios: str) -> Any:
        done = subprocess.run(
            [node, str(SCRIPT), address, str(modules), chromium, *scenarios],
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)
        assert outcome["foreign"] == []
        assert outcome["errors"] == []
        assert outcome["loads"] <= 1  # later visits find the runtime in the browser's cache
        return outcome["seen"]

    return run


def assert_drawings_are_read(seen: Any) -> None:
    for place, verdict in seen.items():
        assert verdict["glyph"] == place[0], (place, verdict)
        assert verdict["notice"] == ""
        assert verdict["sum"] == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_the_static_page_reads_drawings(browse: Browse, static: str) -> None:
    """By mouse, keyboard and finger; the page does not scroll meanwhile. No request leaves."""
    seen = browse(static, "draws", "keyboard", "finger")
    assert_drawings_are_read(seen["draws"])
    assert len(seen["draws"]) == 9
    assert_the_keyboard_draws(seen["keyboard"])
    assert seen["finger"]["isLonger"]
    assert seen["finger"]["moved"] == 0
    assert seen["finger"]["ink"] > 1000


@pytest.mark.slow
def test_the_served_page_reads_drawings(browse: Browse, served: str) -> None:
    """The server answers; no request goes elsewhere."""
    seen = browse(served, "draws", "keyboard")
    assert_drawings_are_read(seen["draws"])
    assert_the_keyboard_draws(seen["keyboard"])


@pytest.mark.slow
@pytest.mark.full
def test_the_served_page_reads_pictures(browse: Browse, served: str) -> None:
    """Also with what mattered, by the Open Inference Protocol; nothing serious for axe-core."""
    seen = browse(served, "explains", "examples", "axe")
    assert seen["axe"]["findings"] == []
    assert seen["explains"]["red"] > 10
    assert all(each["meaning"] == name for name, each in seen["examples"].items())


def assert_the_keyboard_draws(seen: Any) -> None:
    """Draw, hear the result, undo, redo and clear."""
    assert seen["drawn"]["glyph"] == "日"
    assert "日 sun" in seen["announced"]
    assert seen["undone"]["shares"] != seen["drawn"]["shares"]
    assert seen["redone"]["shares"] == seen["drawn"]["shares"]
    assert seen["cleared"]["sum"] == 0


@pytest.mark.slow
@pytest.mark.full
def test_pictures_and_what_mattered(browse: Browse, static: str) -> None:
    """Examples, several files of which one is no picture, and the parts that decide."""
    seen = browse(static, "examples", "files", "explains", "transparent")
    assert len(seen["examples"]) == 10
    for name, verdict in seen["examples"].items():
        assert verdict["meaning"] == name, verdict
    field, text = seen["files"]["rows"]
    assert "田 field" in field
    assert "cannot read" in text
    assert seen["files"]["shown"]["glyph"] == "田"
    assert seen["explains"]["red"] > 10
    # colors are not multiplied by opacity, nor converted
    assert seen["transparent"]["data"] == [200, 10, 20, 0, 1, 2, 3, 255]
    assert seen["transparent"]["keyed"] is False


@pytest.mark.slow
@pytest.mark.full
def test_axe_finds_nothing_serious(browse: Browse, static: str) -> None:
    """Empty and with a result, in light and dark."""
    assert browse(static, "axe")["axe"]["findings"] == []


@pytest.mark.slow
@pytest.mark.full
def test_a_visitor_may_bring_a_model(browse: Browse, static: str) -> None:
    """model.onnx with its model.json; a wrong pair is explained and changes nothing."""
    folder = locate("oraclenet_n")
    seen = browse(static, f"own={folder}")["own"]
    assert seen["option"] == "model.onnx (your own)"
    assert seen["verdict"]["glyph"] == "木"
    assert "together" in seen["alone"]
    assert "not the one" in seen["wrong"]
    assert "10 outputs for 9 classes" in seen["shorter"]
    assert "null" not in seen["offline"]
    assert seen["selected"] == "model.onnx (your own)"
    assert seen["after"]["glyph"] == "木"


@pytest.mark.slow
@pytest.mark.full
def test_a_character_may_be_unknown(browse: Browse, static: str) -> None:
    """The page says so, and names the nearest; a model of other characters has its own rows."""
    seen = browse(static, "unknown")["unknown"]
    assert seen["words"] == "Not a character I know"
    assert seen["shows"].startswith("The nearest is")
    assert seen["announced"].startswith("Not a character I know")
    assert seen["names"] == ["first", "second", "third", "fourth"]


@pytest.mark.slow
@pytest.mark.full
def test_screenshots_are_taken(browse: Browse, static: str, tmp_path: Path) -> None:
    """At desktop and phone width, in light and dark, for a person to look at."""
    browse(static, f"screenshots={tmp_path}")
    assert len(list(tmp_path.glob("*.png"))) == 4
