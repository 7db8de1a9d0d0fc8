"""Text: HTML elements and numbers, escaped and written in one way."""

from __future__ import annotations

import html

from oraclezoo.ranking.text import NONE


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """An element around HTML that is safe already; its attributes are escaped here.

    ``class_`` is ``class``, other underscores become dashes; None leaves an attribute out, True
    writes its name alone.
    """
    return f"<{name}{_attributes(attributes)}>{content}</{name}>"


def empty(name: str, /, **attributes: object) -> str:
    """An element of SVG without content."""
    return f"<{name}{_attributes(attributes)}/>"


def safe(text: object) -> str:
    """A stranger's text as HTML."""
    return html.escape(str(text))


def number(value: float | None, digits: int, scale: float = 1.0) -> str:
    """A number with its decimals and thousands, or the mark of none."""
    return NONE if value is None else f"{value / scale:,.{digits}f}"


def _attributes(attributes: dict[str, object]) -> str:
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name = "class" if key == "class_" else key.replace("_", "-")
        written.append(f" {name}" if value is True else f' {name}="{html.escape(str(value))}"')
    return "".join(written)
