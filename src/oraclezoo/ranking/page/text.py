"""Create HTML elements and format numbers."""

from __future__ import annotations

import html

from oraclezoo.ranking.text import NONE


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """Return an HTML element.

    Args:
        name: Name of the tag.
        content: HTML that is already escaped.
        **attributes: Attributes, which this function escapes. ``class_`` becomes ``class``, other
            underscores become dashes; None and False omit an attribute, and True writes only its
            name.

    >>> element("td", safe("<1"), class_="oz-number", hidden=True)
    '<td class="oz-number" hidden>&lt;1</td>'
    """
    return f"<{name}{_attributes(attributes)}>{content}</{name}>"


def empty(name: str, /, **attributes: object) -> str:
    """Return an SVG element without content; for attributes see :func:`element`."""
    return f"<{name}{_attributes(attributes)}/>"


def safe(text: object) -> str:
    """Escape untrusted text for HTML."""
    return html.escape(str(text))


def number(value: float | None, digits: int, scale: float = 1.0) -> str:
    """Format a number with thousands separators, or None as a dash."""
    return NONE if value is None else f"{value / scale:,.{digits}f}"


def _attributes(attributes: dict[str, object]) -> str:
    parts = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name = "class" if key == "class_" else key.replace("_", "-")
        parts.append(f" {name}" if value is True else f' {name}="{html.escape(str(value))}"')
    return "".join(parts)
