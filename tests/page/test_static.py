"""The page's own files."""

from __future__ import annotations

import importlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.page.files import SETTINGS, STATIC
from oraclezoo.serving.names import locate
from oraclezoo.serving.predictor import Predictor

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = sorted(STATIC.rglob("*.js"))
INDEX = (STATIC / "index.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


TAGS = Tags(INDEX).found


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No address of another host in any file that is loaded, other than names of XML formats."""
    texts = {path: path.read_text(encoding="utf-8") for path in STATIC.rglob("*.*ml")}
    texts |= {path: path.read_text(encoding="utf-8") for path in (*SCRIPTS, STATIC / "page.css")}
    remote = [
        (path.name, address)
        for path, text in texts.items()
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", text)
        if address != "http://www.w3.org/2000/svg"
    ]
    assert remote == []


def test_the_policy_allows_the_own_origin_only() -> None:
    """Scripts may compile WebAssembly and nothing else; neither scripts nor styles are inline."""
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in TAGS
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert all("http" not in rule and "unsafe-inline" not in rule for rule in rules.values())
    assert all("src" in attributes for tag, attributes in TAGS if tag == "script")
    assert not any(
        name == "style" or name.startswith("on") for _, attributes in TAGS for name in attributes
    )
    assert "style" not in {tag for tag, _ in TAGS}


def test_every_control_has_a_label() -> None:
    """By its text, a label or an attribute; the two hidden file fields have buttons."""
    labels = {attributes.get("for") for tag, attributes in TAGS if tag == "label"}
    for tag, attributes in TAGS:
        if tag in ("input", "select", "canvas", "progress") and "aria-hidden" not in attributes:
            assert attributes["id"] in labels or attributes.get("aria-label"), attributes


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_imports_exist(script: Path) -> None:
    """Each module imports files of the page, by relative addresses."""
    text = script.read_text(encoding="utf-8")
    for target in re.findall(r"from \"([^\"]+)\"", text):
        assert target.startswith("."), target
        assert (script.parent / target).is_file(), target


def test_elements_that_the_scripts_name_exist() -> None:
    """By their identifiers."""
    known = {attributes["id"] for _, attributes in TAGS if "id" in attributes}
    named = {
        identifier
        for script in SCRIPTS
        for identifier in re.findall(r"byId\(\"([\w-]+)\"\)", script.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= known


def test_served_pages_ask_the_server() -> None:
    """``oraclezoo page`` replaces this file."""
    assert json.loads((STATIC / SETTINGS).read_text()) == {"home": "server"}


def test_characters_are_those_of_the_stroke_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """In label order; ``python benchmarks/page_assets.py`` writes them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    text = (STATIC / "characters.json").read_text(encoding="utf-8")
    assert text == importlib.import_module("page_assets").characters()
    rows = json.loads(text)
    assert tuple(row["glyph"] for row in rows) == GLYPHS
    assert tuple(row["meaning"] for row in rows) == CLASSES


def test_the_default_model_reads_every_example() -> None:
    """They show what the page can do."""
    files = [STATIC / "examples" / f"{name}.jpg" for name in CLASSES]
    assert Predictor(locate("oraclenet_s")).predict(files).labels.tolist() == list(range(10))
