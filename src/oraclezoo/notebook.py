"""Short text and an HTML table for objects that users display in a prompt or a notebook."""

from __future__ import annotations

from collections.abc import Mapping


class Displayed:
    """Base class of objects that display the values of ``_summary``.

    A dataclass needs ``repr=False``; otherwise its generated ``__repr__`` takes precedence.
    """

    __slots__ = ()

    def _summary(self) -> Mapping[str, object]:
        """Return the values to display, keyed by name."""
        raise NotImplementedError

    def __repr__(self) -> str:
        values = ", ".join(f"{key}={value!r}" for key, value in self._summary().items())
        return f"{type(self).__name__}({values})"

    def _repr_html_(self) -> str:
        """Return an HTML table for notebooks."""
        import html  # 5 ms to import

        rows = "".join(
            f'<tr><th style="text-align:left">{html.escape(key)}</th>'
            f'<td style="text-align:left">{html.escape(str(value))}</td></tr>'
            for key, value in self._summary().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"
