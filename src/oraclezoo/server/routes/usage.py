"""Documentation page of the routes: the OpenAPI document as HTML without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
h3 { margin: 2rem 0 0.5rem; }
code { font: 0.95em ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; }
th, td { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent);
  padding: 0.3rem 0.8rem 0.3rem 0; text-align: left; vertical-align: top; }
.method { font-weight: 700; }
"""


def add_routes(app: FastAPI) -> None:
    """Add the page to an application."""

    @app.get("/docs", include_in_schema=False)
    async def page(_: Request) -> Response:
        return HTMLResponse(usage_page(app.openapi()))

    @app.get("/docs.css", include_in_schema=False)
    async def style(_: Request) -> Response:
        return Response(_STYLE, media_type="text/css")


def usage_page(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as HTML."""
    about = document["info"]
    tags: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            sections = tags.setdefault(operation.get("tags", ["Other"])[0], [])
            sections.append(_operation(path, method, operation))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(each)}" for tag, each in tags.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(about["title"])}: routes</title><link rel="stylesheet" href="docs.css">'
        f"</head><body><h1>{escape(about['title'])} {escape(about['version'])}</h1>"
        f"{_text(about['description'])}"
        '<p>The same as a document for programs: <a href="openapi.json">openapi.json</a></p>'
        f"{body}</body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<h3><code><span class="method">{method.upper()}</span> {escape(path)}</code></h3>',
        _text(operation.get("description", "")),
    ]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [(each["name"], each["in"], each.get("description", "")) for each in parameters]
        parts.append(_table(("parameter", "in", "meaning"), rows))
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        kinds = [(kind, _fields(media)) for kind, media in content.items()]
        parts.append(_table(("request body", "fields"), kinds))
    statuses = [(code, each["description"]) for code, each in operation["responses"].items()]
    parts.append(_table(("status", "meaning"), statuses))
    return "".join(parts)


def _fields(media: dict[str, Any]) -> str:
    schema = media["schema"]
    return ", ".join(schema.get("properties", {})) or schema.get("format", "")


def _text(text: str) -> str:
    """Return paragraphs as HTML; text in backquotes becomes code."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        pieces = escape(" ".join(paragraph.split())).split("`")
        marked = [f"<code>{each}</code>" if odd % 2 else each for odd, each in enumerate(pieces)]
        paragraphs.append(f"<p>{''.join(marked)}</p>")
    return "".join(paragraphs)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in header)
    lines = ["".join(f"<td>{_code(i, each)}</td>" for i, each in enumerate(row)) for row in rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _code(column: int, text: str) -> str:
    return escape(text) if column else f"<code>{escape(text)}</code>"
