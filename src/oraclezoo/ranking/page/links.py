"""Addresses that the pages of a leaderboard link to; the host of the pages provides them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from oraclezoo.ranking.page.text import element
from oraclezoo.ranking.rows import Row
from oraclezoo.result import Result

Key = tuple[str, str]
"""Identity of a row on a page: the id of its result, and the versions of its plugins."""


def nowhere(*_: str) -> str | None:
    """Return no address."""
    return None


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses for the links of a leaderboard; anything without an address is plain text.

    Attributes:
        rows: The page of each row, by :func:`key`.
        component: Return the page of a component, given its kind and qualified name.
        file: Return the address of a file of the results folder, given its name.
        board: The page with the tables.
        classes: Names of the classes of a track; classes are numbered without them.
        published: Whether ``oraclezoo reproduce`` knows the results by id.
    """

    rows: Mapping[Key, str] = field(default_factory=dict)
    component: Callable[[str, str], str | None] = nowhere
    file: Callable[[str], str | None] = nowhere
    board: str = ""
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    published: bool = False

    def to_row(self, row: Row, content: str, **attributes: object) -> str:
        """Return HTML as a link to the page of a row."""
        return linked(self.rows.get(key(row)), content, **attributes)

    def reproduce(self, result: Result) -> str:
        """Return the command that runs a result again and compares the two."""
        return f"oraclezoo reproduce {result.id}{'' if self.published else '.json'}"


def key(row: Row) -> Key:
    """Return the identity of a row."""
    return row.id, row.plugins


def linked(address: str | None, content: str, **attributes: object) -> str:
    """Return HTML as a link, or as a ``span`` without an address."""
    if address is None:
        return element("span", content, **attributes)
    return element("a", content, href=address, **attributes)
