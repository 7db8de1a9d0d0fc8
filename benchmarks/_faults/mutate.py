"""Seeded mutations of bytes, texts and JSON documents."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any

NUMBERS = (
    "0", "-1", "1e400", "-1e308", "1e-400", "9" * 400, "0." + "1" * 400, "nan", "inf", "2.5",
    "true", "4294967296", "9223372036854775808", "-0.0", "1e5", '"1"', "[]", "{}", "null",
    "0x10", "1_0",
)  # fmt: skip
"""Values in place of a number in a text."""

TEXTS = (
    '""', '"\\u0000"', '"\\u2028"', '"../../etc/passwd"', '"' + "a" * 5000 + '"', "1", "[]",
    '"a:b:c"',     '"\\ud800"', '"oraclezoo:"', '"timm/"', '"%s%n"', '"\U0001f600"',
)  # fmt: skip
"""Values in place of a string in a text."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2.5, 10**400, 1e308, -1e308, float("nan"), float("inf"), "", "x",
    "a" * 5000, [], {}, [1], ["x"], {"x": 1}, [[]], "\u2028", "9" * 400, 2**63, -(2**63) - 1,
)  # fmt: skip
"""Values in place of any part of a document."""

INTEGERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1")


def of_bytes(generator: random.Random, content: bytes) -> bytes:
    """Change a few bytes, cut, insert, double or swap parts."""
    changed = bytearray(content)
    for _ in range(generator.choice((1, 1, 1, 2, 5))):
        if not changed:
            return b""
        place = generator.randrange(len(changed))
        kind = generator.randrange(8)
        if kind <= 1:
            changed[place] ^= 1 << generator.randrange(8)
        elif kind == 2:
            changed[place] = generator.choice((0, 255, generator.randrange(256)))
        elif kind == 3:
            changed[place : place + 4] = generator.choice(INTEGERS)
        elif kind == 4:
            del changed[place : place + generator.choice((1, 4, 100, len(changed)))]
        elif kind == 5:
            changed[place:place] = generator.randbytes(generator.choice((1, 4, 100)))
        elif kind == 6:
            piece = changed[place : place + 64]
            changed[place:place] = piece
        else:
            other = generator.randrange(len(changed))
            changed[place : place + 8], changed[other : other + 8] = (
                changed[other : other + 8],
                changed[place : place + 8],
            )
    return bytes(changed)


def of_head(generator: random.Random, content: bytes) -> bytes:
    """Change the first bytes, where most formats state sizes and types."""
    size = generator.choice((16, 64, 256))
    return of_bytes(generator, content[:size]) + content[size:]


def of_text(generator: random.Random, content: bytes) -> bytes:
    """Change numbers, strings, names and lines of a text."""
    text = content.decode("utf-8", errors="replace")
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        text = generator.choice(_OF_TEXT)(generator, text)
    return text.encode("utf-8", errors="surrogatepass")


def _replace(pattern: str, values: tuple[str, ...]) -> Callable[[random.Random, str], str]:
    def change(generator: random.Random, text: str) -> str:
        found = list(re.finditer(pattern, text))
        if not found:
            return text
        match = generator.choice(found)
        value = generator.choice(values)
        return text[: match.start()] + value + text[match.end() :]

    return change


def _line(generator: random.Random, text: str) -> str:
    lines = text.split("\n")
    place = generator.randrange(len(lines))
    kind = generator.randrange(4)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(place, lines[place])
    elif kind == 2:
        lines.insert(generator.randrange(len(lines)), lines[place])
    else:
        lines[place] = lines[place][: generator.randrange(len(lines[place]) + 1)]
    return "\n".join(lines)


def _insert(generator: random.Random, text: str) -> str:
    place = generator.randrange(len(text) + 1)
    piece = generator.choice(
        (
            "\u2028",
            "\0",
            "[" * 3000,
            "{" * 3000,
            '"',
            "\n",
            "=",
            "[[",
            "]]",
            "#",
            "\\",
            ",",
            "\ufeff",
        )
    )
    return text[:place] + piece + text[place:]


def _cut(generator: random.Random, text: str) -> str:
    return text[: generator.randrange(len(text) + 1)]


_OF_TEXT: tuple[Callable[[random.Random, str], str], ...] = (
    _replace(r"(?<![\w.])-?\d[\d.e+-]*", NUMBERS),
    _replace(r"(?<![\w.])-?\d[\d.e+-]*", NUMBERS),
    _replace(r'"[^"\n]*"', TEXTS),
    _replace(r"\b[a-z_]{3,}\b", ("x", "name", "options", "__class__", "")),
    _replace(r"\b(true|false|null)\b", ("1", "null", '"true"', "True", "[]")),
    _line,
    _insert,
    _cut,
)


def of_json(generator: random.Random, content: bytes) -> bytes:
    """Replace, remove or double parts of a JSON document; sometimes change its text instead."""
    if generator.random() < 0.25:
        return of_text(generator, content)
    document = copy.deepcopy(json.loads(content))
    for _ in range(generator.choice((1, 1, 2))):
        _change(generator, document)
    return json.dumps(document, indent=2).encode()


def _change(generator: random.Random, document: Any) -> None:
    """Change a part of a document in place, at any depth with equal probability."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = value if isinstance(value, dict) else range(len(value)) if _is_list(value) else ()
        for key in keys:
            places.append((value, key))
            walk(value[key])

    walk(document)
    if not places:
        return
    holder, key = generator.choice(places)
    kind = generator.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1 and _is_list(holder):
        holder.insert(key, holder[key])
    elif kind == 1:
        holder[generator.choice(("x", "name", "", str(key).upper()))] = holder.pop(key)
    elif kind == 2 and type(holder[key]) in (int, float):
        holder[key] = holder[key] * generator.choice((-1, 2, 1000, 1e-9)) + generator.choice((0, 1))
    else:
        holder[key] = copy.deepcopy(generator.choice(VALUES))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def of_lines(generator: random.Random, content: bytes) -> bytes:
    """Change a document of a file of JSON lines, or its lines."""
    if generator.random() < 0.3:
        return of_text(generator, content)
    lines = content.decode("utf-8").split("\n")
    place = generator.randrange(max(1, len(lines) - 1))
    try:
        document = [json.loads(lines[place])]
    except ValueError:
        return of_text(generator, content)
    _change(generator, document)
    lines[place] = json.dumps(document[0]) if document else ""
    return "\n".join(lines).encode()


Mutator = Callable[[random.Random, bytes], bytes]
"""Changes a file's content."""


def mixed(*mutators: Mutator) -> Mutator:
    """Return a mutator that takes one of several."""
    return lambda generator, content: generator.choice(mutators)(generator, content)
