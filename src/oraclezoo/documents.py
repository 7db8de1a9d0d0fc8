"""Read TOML and JSON documents, which may be corrupt or untrusted.

Each function raises OSError if a file cannot be read and ValueError if its content is unusable;
callers add the file's name and a remedy. This module is cheap to import.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_BYTES = 64 << 20
"""Maximum size of a document: 64 MiB."""

MAX_DEPTH = 100
"""Maximum nesting depth of arrays and tables."""

MAX_INTEGER = 2**63 - 1
"""Maximum integer, as in TOML; larger integers do not fit into a float or an array."""


_JSON_INTEGER = re.compile(r'"([^"\n]{1,60})"\s*:\s*-?\d{4000}')
_TOML_INTEGER = re.compile(r"([\w.-]{1,60})\s*=\s*[-+]?\d{4000}")
"""Matches a key followed by an integer that is too long for Python."""


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file; reading a pipe or a device could block forever.

    Args:
        path: The file.
        limit: Maximum size in bytes.

    Returns:
        The content.

    Raises:
        OSError: If the file cannot be read or is not a regular file.
        ValueError: If it is larger than ``limit``.
    """
    # opening a pipe waits for its other end without O_NONBLOCK, which Windows does not have
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "not a regular file", str(path))
        # read allocates the requested size; one extra byte reveals that the file has grown
        content = file.read(min(limit, status.st_size) + 1)
    if len(content) > limit:
        raise ValueError(f"larger than {limit >> 20} MiB")
    return content


def read_json(path: Path, limit: int = MAX_BYTES) -> Any:
    """Return the content of a JSON file (see :func:`read_file` and :func:`parse_json`)."""
    return parse_json(read_file(path, limit))


def read_toml(path: Path, limit: int = MAX_BYTES) -> dict[str, Any]:
    """Return the content of a TOML file (see :func:`read_file` and :func:`parse_toml`)."""
    return parse_toml(read_file(path, limit).decode("utf-8"))


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: If it is not JSON, too deeply nested, or has an integer beyond
            :data:`MAX_INTEGER`.
    """
    try:
        return checked(json.loads(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise _named(error, text, _JSON_INTEGER) from error


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises:
        ValueError: If it is not TOML, too deeply nested, or has an integer beyond
            :data:`MAX_INTEGER`.
    """
    import tomllib  # 5 ms to import

    try:
        tables: dict[str, Any] = checked(tomllib.loads(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise _named(error, text, _TOML_INTEGER) from error
    return tables


def _named(error: ValueError, text: str | bytes, integer: re.Pattern[str]) -> ValueError:
    """Return the error, with the name of the key if an integer is too long for Python."""
    if "integer string conversion" not in str(error):
        return error
    match = integer.search(text if isinstance(text, str) else text.decode(errors="replace"))
    return ValueError(f"{match[1] if match else 'an integer'} has more than 63 bits")


def checked(document: Any, largest: int = MAX_INTEGER) -> Any:
    """Check the nesting depth and the integers of a parsed document, and return it.

    Args:
        document: The document.
        largest: Maximum absolute value of integers.

    Returns:
        ``document``.

    Raises:
        ValueError: If it is nested deeper than :data:`MAX_DEPTH` or has an integer beyond
            ``largest``. The message names the key.
    """
    pending: list[tuple[str, int, Any]] = [("", 0, document)]
    while pending:
        key, depth, value = pending.pop()
        if isinstance(value, int) and abs(value) > largest:
            raise ValueError(f"{key or 'the number'} has more than {largest.bit_length()} bits")
        if isinstance(value, dict):
            children = [
                (f"{key}.{name}" if key else str(name), item) for name, item in value.items()
            ]
        elif isinstance(value, list):
            children = [(f"{key}[{index}]", item) for index, item in enumerate(value)]
        else:
            continue
        if depth >= MAX_DEPTH:
            raise ValueError(f"{key[:60]} is nested more than {MAX_DEPTH} deep")
        pending += [(name, depth + 1, item) for name, item in children]
    return document


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects in a JSON Lines file; skip lines that a killed process left incomplete.

    Only a line feed ends a line: JSON strings may contain other separators such as U+2028.

    Raises:
        OSError: If the file cannot be read; a missing file has no rows.
        ValueError: If a line is JSON but invalid (see :func:`parse_json`).
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        return
    for number, line in enumerate(content.split(b"\n"), 1):
        text = line.decode("utf-8", errors="replace")
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            continue
        try:
            row = checked(row)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if isinstance(row, dict):
            yield row
