"""Broken internal links of a built site. External links are not checked."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """Parser that collects the links and anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.links += [attributes[name] or "" for name in ("href", "src") if attributes.get(name)]
        self.anchors |= {attributes[name] or "" for name in ("id", "name") if attributes.get(name)}


def broken(site: Path) -> list[str]:
    """Return each internal link without a target, as ``page: link``, in order."""
    site = site.resolve()
    dangling = []
    for path in sorted(site.rglob("*.html")):
        for link in dict.fromkeys(_read(path).links):
            if not _resolves(link, path, site):
                dangling.append(f"{path.relative_to(site)}: {link}")
    return dangling


@cache
def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _resolves(link: str, page: Path, site: Path) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = page
    if parts.path:
        base = site if parts.path.startswith("/") else page.parent
        target = (base / unquote(parts.path).lstrip("/")).resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.is_file() or not target.is_relative_to(site):
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target.suffix != ".html" or anchor in _read(target).anchors
