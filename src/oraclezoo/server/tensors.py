"""Parse and write tensors of the Open Inference Protocol, version 2, as JSON or binary data.

Source: the KServe project, "Open Inference Protocol", and the Triton Inference Server's extension
"binary_tensor_data". With the extension, a request is a JSON header, whose length is in a separate
HTTP header, followed by the tensors' bytes, little-endian and in row-major order; each string
follows its length in 4 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.server.pictures import LONGEST, base64_bytes, parse_json
from oraclezoo.server.rejection import RejectedError

HEADER = "inference-header-content-length"
"""HTTP header with the length of the JSON part of a body with binary tensors."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input: its name, type and shape, and its data as bytes or as a JSON list."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes | list[Any]

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for edge in self.shape:
            size *= edge
        return size


@dataclass(frozen=True, slots=True)
class Inference:
    """A request: its inputs, and the requested outputs, each with a flag for binary data."""

    id: str
    inputs: dict[str, Tensor]
    outputs: dict[str, bool]
    binary: bool


def malformed(message: str) -> RejectedError:
    """Return the rejection of a request that violates the protocol."""
    return RejectedError(400, "malformed", message)


def parse(body: bytes, header_length: str | None) -> Inference:
    """Parse the body of an inference request.

    Args:
        body: JSON, or JSON followed by binary tensors.
        header_length: The value of :data:`HEADER`; None if the body is JSON only.

    Raises:
        RejectedError: The request violates the protocol.
    """
    length = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or int(header_length[:20]) > len(body):
            raise malformed(f"{HEADER} is '{header_length[:20]}', but the body has {length} bytes")
        length = int(header_length)
    document = _object(parse_json(body[:length]), "the request")
    rest = memoryview(body)[length:]
    inputs: dict[str, Tensor] = {}
    for entry in _list(document.get("inputs"), "inputs"):
        tensor, rest = _tensor(_object(entry, "an input"), rest)
        if tensor.name in inputs:
            raise malformed(f"input '{tensor.name}' is given twice")
        inputs[tensor.name] = tensor
    if rest:
        raise malformed(f"{len(rest)} bytes follow the last tensor")
    binary = _flag(document, "binary_data_output", False)
    outputs = {}
    for entry in _list(document.get("outputs", []), "outputs"):
        output = _object(entry, "an output")
        if "classification" in _object(output.get("parameters", {}), "parameters"):
            raise malformed("the classification extension is not supported; see POST /v1/predict")
        outputs[_text(output, "name")] = _flag(output, "binary_data", binary)
    request_id = document.get("id", "")
    if not isinstance(request_id, str) or len(request_id) > LONGEST:
        raise malformed(f"id must be a string of at most {LONGEST} characters")
    return Inference(request_id, inputs, outputs, binary)


def bytes_array(tensor: Tensor) -> npt.NDArray[np.uint8]:
    """Return the array of a UINT8 tensor. Raises RejectedError."""
    if isinstance(tensor.data, bytes):
        if len(tensor.data) != tensor.size:
            raise malformed(_wrong_size(tensor, len(tensor.data)))
        return np.frombuffer(tensor.data, np.uint8).reshape(tensor.shape)
    numbers = _flat(tensor)
    if len(numbers) != tensor.size:
        raise malformed(_wrong_size(tensor, len(numbers)))
    try:
        # NumPy would give each element the size of the longest if there are strings among them
        if not set(map(type, numbers)) <= {int}:
            raise ValueError("not numbers")
        data = bytes(numbers)
    except ValueError as error:
        message = f"input '{tensor.name}': UINT8 has whole numbers from 0 to 255"
        raise malformed(message) from error
    return np.frombuffer(data, np.uint8).reshape(tensor.shape)


def _flat(tensor: Tensor) -> list[Any]:
    """Return the elements of a list that is flat or nested as the tensor's shape."""
    level = tensor.data
    assert isinstance(level, list)
    for _ in tensor.shape[1:]:
        kinds, lengths = set(map(type, level)), {len(row) for row in level if type(row) is list}
        if list not in kinds:
            break
        if len(kinds) > 1 or len(lengths) > 1:
            raise malformed(f"input '{tensor.name}': rows of different length")
        level = list(chain.from_iterable(level))
    return level


def strings(tensor: Tensor) -> list[bytes]:
    """Return the elements of a BYTES tensor; in JSON, they are base64-encoded.

    Raises RejectedError.
    """
    match: list[bytes] = []
    if isinstance(tensor.data, list):
        if len(tensor.data) != tensor.size:
            raise malformed(_wrong_size(tensor, len(tensor.data)))
        for text in tensor.data:
            if not isinstance(text, str):
                raise malformed(f"input '{tensor.name}': BYTES are base64 strings in JSON")
            match.append(base64_bytes(text, f"input '{tensor.name}'"))
    else:
        start = 0
        while start < len(tensor.data):
            first = start + 4
            length = int.from_bytes(tensor.data[start:first], "little")
            start = first + length
            if start > len(tensor.data):
                raise malformed(f"input '{tensor.name}' ends within an element")
            match.append(tensor.data[first:start])
            if len(match) > tensor.size:
                raise malformed(f"input '{tensor.name}' has more elements than {tensor.size}")
    if len(match) != tensor.size:
        raise malformed(_wrong_size(tensor, len(match)))
    return match


def render(
    about: dict[str, Any], outputs: Sequence[tuple[str, npt.NDArray[np.float32], bool]]
) -> tuple[bytes, int | None]:
    """Return the body of a response.

    Args:
        about: Keys of the response other than its outputs.
        outputs: For each output, its name, its float32 values, and whether they are binary.

    Returns:
        The body, and the length of its JSON part if binary data follow, otherwise None.
    """
    entries, parts = [], []
    for name, values, binary in outputs:
        entry: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(values.shape)}
        if binary:
            data = values.astype("<f4").tobytes()
            entry["parameters"] = {"binary_data_size": len(data)}
            parts.append(data)
        else:
            entry["data"] = values.ravel().tolist()
        entries.append(entry)
    text = json.dumps({**about, "outputs": entries}).encode()
    return b"".join((text, *parts)), len(text) if parts else None


def _tensor(entry: dict[str, Any], rest: memoryview) -> tuple[Tensor, memoryview]:
    """Return an input, and the binary data that follow it."""
    name, datatype = _text(entry, "name"), _text(entry, "datatype")
    shape = entry.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
        raise malformed(f"input '{name}': shape must be a list of whole numbers")
    parameters = _object(entry.get("parameters", {}), "parameters")
    size = parameters.get("binary_data_size")
    data: bytes | list[Any]
    if size is None:
        data = _list(entry.get("data"), f"data of input '{name}'")
    elif type(size) is not int or not 0 <= size <= len(rest):
        raise malformed(f"input '{name}': binary_data_size does not match the body")
    else:
        data, rest = bytes(rest[:size]), rest[size:]
    return Tensor(name, datatype, tuple(shape), data), rest


def _wrong_size(tensor: Tensor, actual: int) -> str:
    return f"input '{tensor.name}' has {actual} elements, but shape {list(tensor.shape)[:8]}"


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise malformed(f"{what} must be an object")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise malformed(f"{what} must be a list")
    return value


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise malformed(f"{key} must be a string")
    return value[:LONGEST]


def _flag(entry: dict[str, Any], key: str, default: bool) -> bool:
    value = _object(entry.get("parameters", {}), "parameters").get(key, default)
    if not isinstance(value, bool):
        raise malformed(f"{key} must be true or false")
    return value
