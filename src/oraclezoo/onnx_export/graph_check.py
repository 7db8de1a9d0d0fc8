"""Check an ONNX file from an untrusted source before ONNX Runtime opens it.

The module does not import the package ``onnx``, which prediction does not require. Instead, it
reads the file as a protocol buffer (https://protobuf.dev/programming-guides/encoding/), with the
field numbers from ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator

LOOPS = (b"Loop", b"Scan")
"""Operators whose number of iterations depends on the data, so that a graph may never terminate."""

MAX_FIELDS = 5_000_000
"""Maximum number of fields that are visited; large models have about 10,000."""

_PARTS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Kinds of messages nested in each kind of message, keyed by field number."""

_OPERATOR, _EXTERNAL_DATA, _DATA_LOCATION = 4, 13, 14
_VARINT, _BYTES, _SIZES = 0, 2, {1: 8, 5: 4}


def check_graph(content: bytes) -> None:
    """Reject a graph that refers to other files or contains operators that may never terminate.

    Args:
        content: The bytes of an ONNX file.

    Raises:
        ValueError: If the graph is rejected or the file is not a valid protocol buffer.
    """
    pending = [("model", memoryview(content))]
    visited = 0
    while pending:
        kind, message = pending.pop()
        for number, value in _fields(message):
            visited += 1
            if visited > MAX_FIELDS:
                raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
            if kind == "tensor" and (
                number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)
            ):
                raise ValueError("its weights are in another file (external data)")
            if isinstance(value, int):
                continue
            if kind == "node" and number == _OPERATOR and bytes(value) in LOOPS:
                name = bytes(value).decode()
                raise ValueError(f"its graph has a loop ({name}), which may never end")
            if number in _PARTS[kind]:
                pending.append((_PARTS[kind][number], value))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and value of each field. Raises ValueError if the message is corrupt."""
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        wire, number = tag & 7, tag >> 3
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _BYTES:
            size, position = _varint(message, position)
        elif wire in _SIZES:
            size = _SIZES[wire]
        else:
            raise ValueError("not an ONNX file")
        if position + size > end:
            raise ValueError("truncated, or not an ONNX file")
        yield number, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the varint at a position, and the position after it."""
    value = 0
    for index in range(10):
        if position + index >= len(message):
            break
        byte = message[position + index]
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, position + index + 1
    raise ValueError("truncated, or not an ONNX file")
