"""Links of a built site that lead nowhere in it. Addresses elsewhere are not looked at."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page links to, and the places within it that a link may name."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [given[name] or "" for name in ("href", "src") if given.get(name)]
        self.places |= {given[name] or "" for name in ("id", "name") if given.get(name)}


def broken(site: Path) -> list[str]:
    """Each local link of a site without its target, as ``page: link``, in order."""
    site = site.resolve()
    found = []
    for path in sorted(site.rglob("*.html")):
        for link in dict.fromkeys(_read(path).links):
            if not _leads_somewhere(link, path, site):
                found.append(f"{path.relative_to(site)}: {link}")
    return found


@cache
def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _leads_somewhere(link: str, page: Path, site: Path) -> bool:
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
    place = unquote(parts.fragment)
    return not place or target.suffix != ".html" or place in _read(target).places
