"""The example at the end of a command's help."""

from __future__ import annotations


def example(*lines: str) -> str:
    """Return the epilog of a command with examples of its use.

    Args:
        lines: Commands as a user types them.
    """
    return "\b\nExample:\n" + "\n".join(f"  $ {line}" for line in lines)
