"""Routes of the Open Inference Protocol, version 2, for KServe and Triton clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oraclezoo._version import __version__
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.prepare import Prepared
from oraclezoo.server import schemas, tensors
from oraclezoo.server.batching import Picture
from oraclezoo.server.body import parsed
from oraclezoo.server.gate import NOTE
from oraclezoo.server.models import ServedModel
from oraclezoo.server.pictures import too_many
from oraclezoo.server.rejection import RejectedError
from oraclezoo.server.service import Service
from oraclezoo.serving.reading import Preprocessing, Reading

TAGS: list[str | Enum] = ["Open Inference Protocol"]

VERSION = "1"
"""The only version of every model."""

_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "enum": ["images", "pictures"]},
        "datatype": {"type": "string", "enum": ["UINT8", "BYTES"]},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}},
    },
    "required": ["name", "datatype", "shape"],
}
_INFERENCE = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1, "maxItems": 1},
        "outputs": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["inputs"],
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": _INFERENCE},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
_LENGTH = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "schema": {"type": "integer", "minimum": 0},
    "description": "Bytes of JSON before the binary tensors.",
}
_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
_VERSION = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to an application."""

    async def infer(request: Request) -> Response:
        """Run a model on a batch of tensors or of image files.

        Input `images` is UINT8 `[n, size, size]`, preprocessed: light characters on black. Input
        `pictures` is BYTES `[n]`, image files of any size. The binary tensor extension is
        supported in both directions; BYTES in JSON are base64-encoded.
        """
        async with service.deadline(), service.bodies.read(request) as body:
            model = _find(service, request)
            length, most = request.headers.get(tensors.HEADER), service.settings.max_images
            requested, images = await parsed(len(body), _parse, body, length, model, most)
            note = request.scope[NOTE]
            note.model, note.images = model.name, len(images)
            settings = Preprocessing(max_pixels=service.settings.max_pixels)
            readings = await service.read(request, model, images, settings) if images else []
        return _response(model, requested, readings)

    async def metadata(request: Request) -> Response:
        """Return the inputs and outputs of a model. A request contains one of the inputs."""
        model = _find(service, request)
        size = model.image_size
        return JSONResponse(
            {
                "name": model.name,
                "versions": [VERSION],
                "platform": "onnxruntime_onnx",
                "inputs": [
                    {"name": "images", "datatype": "UINT8", "shape": [-1, size, size]},
                    {"name": "pictures", "datatype": "BYTES", "shape": [-1]},
                ],
                "outputs": [
                    {"name": name, "datatype": "FP32", "shape": [-1, *shape]}
                    for name, shape in _outputs(model).items()
                ],
            }
        )

    async def model_ready(request: Request) -> Response:
        """Return 200 if a model can serve requests."""
        _find(service, request)
        return ready_response(service)

    _add(app, "/infer", infer, "POST", "Infer", (400, 401, 404, 408, 413, 415, 422, 429))
    _add(app, "", metadata, "GET", "Model metadata", (401, 404))
    _add(app, "/ready", model_ready, "GET", "Model readiness", (401, 404, 503))

    @app.get(
        "/v2",
        tags=TAGS,
        summary="Server metadata",
        response_model=None,
        responses=schemas.errors(401),
    )
    async def server(_: Request) -> Response:
        """Return the name, version and protocol extensions of the server."""
        extensions = ["binary_tensor_data"]
        return JSONResponse({"name": "oraclezoo", "version": __version__, "extensions": extensions})

    @app.get("/v2/health/live", tags=TAGS, summary="Liveness", response_model=None)
    async def live(_: Request) -> Response:
        """Return 200 while the server runs."""
        return JSONResponse({})

    @app.get(
        "/v2/health/ready",
        tags=TAGS,
        summary="Readiness",
        response_model=None,
        responses=schemas.errors(503),
    )
    async def ready(_: Request) -> Response:
        """Return 200 if the server accepts requests, and 503 while it shuts down."""
        return ready_response(service)


def ready_response(service: Service) -> Response:
    """Return an empty response with status 200, or 503 while the server shuts down."""
    if service.draining:
        return JSONResponse({"error": "the server is stopping"}, 503)
    return JSONResponse({})


def _add(
    app: FastAPI,
    path: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    method: str,
    summary: str,
    statuses: tuple[int, ...],
) -> None:
    """Add a route of a model twice, without and with a version in its path."""
    for version in ("", "/versions/{version}"):
        extra: dict[str, Any] = {"parameters": [_MODEL, *([_VERSION] if version else [])]}
        if method == "POST":
            extra["parameters"].append(_LENGTH)
            extra["requestBody"] = _BODY
        app.add_api_route(
            f"/v2/models/{{model}}{version}{path}",
            endpoint,
            methods=[method],
            tags=TAGS,
            summary=f"{summary} of a version" if version else summary,
            response_model=None,
            responses=schemas.errors(*statuses),
            openapi_extra=extra,
        )


def _parse(
    body: bytes, header_length: str | None, model: ServedModel, most: int
) -> tuple[tensors.Inference, list[Picture] | list[Prepared]]:
    """Return the parsed body of a request and its images. Raises RejectedError."""
    requested = tensors.parse(body, header_length)
    _check_outputs(requested, model)
    return requested, _images(requested, model, most)


def _find(service: Service, request: Request) -> ServedModel:
    model = service.models.find(request.path_params["model"])
    version = request.path_params.get("version", VERSION)
    if version != VERSION:
        message = f"model '{model.name}' has version {VERSION} only, not '{version[:100]}'"
        raise RejectedError(404, "model", message)
    return model


def _outputs(model: ServedModel) -> dict[str, list[int]]:
    """Return the outputs of a model, each with its shape without the batch dimension."""
    outputs: dict[str, list[int]] = {"probabilities": [len(model.predictor.classes)]}
    if model.predictor.threshold is not None:
        outputs["unknown"] = []
    return outputs


def _check_outputs(asked: tensors.Inference, model: ServedModel) -> None:
    known = _outputs(model)
    for name in asked.outputs:
        if name not in known:
            raise tensors.malformed(f"unknown output '{name}'; known are {', '.join(known)}")


def _images(
    asked: tensors.Inference, model: ServedModel, most: int
) -> list[Picture] | list[Prepared]:
    """Return the images of a request. Raises RejectedError."""
    if len(asked.inputs) != 1:
        raise tensors.malformed("send one input: images (UINT8) or pictures (BYTES)")
    (tensor,) = asked.inputs.values()
    number = tensor.shape[0] if tensor.shape else 0
    if number > most:
        raise too_many(number, most)
    size = model.image_size
    if tensor.name == "images" and tensor.datatype == "UINT8":
        if tensor.shape[1:] != (size, size):
            raise tensors.malformed(
                f"images must have the shape [n, {size}, {size}], not {list(tensor.shape)}"
            )
        whole = Box(0, 0, size, size)
        return [Prepared(gray, False, whole) for gray in tensors.bytes_array(tensor)]
    if tensor.name == "pictures" and tensor.datatype == "BYTES":
        if len(tensor.shape) != 1:
            raise tensors.malformed(f"pictures must have the shape [n], not {list(tensor.shape)}")
        files = tensors.strings(tensor)
        return [Picture(f"picture {number}", data) for number, data in enumerate(files, 1)]
    raise tensors.malformed(
        f"unknown input '{tensor.name}' of type {tensor.datatype[:20]}; "
        "known are images (UINT8) and pictures (BYTES)"
    )


def _response(
    model: ServedModel, asked: tensors.Inference, readings: Sequence[Reading]
) -> Response:
    """Return the requested outputs. Raises RejectedError for an unreadable image."""
    for reading in readings:
        if reading.probabilities is None:
            raise RejectedError(422, "unreadable", f"{reading.name}: {reading.reason}")
    values = _values(model, readings)
    wanted = asked.outputs or dict.fromkeys(values, asked.binary)
    about = {"model_name": model.name, "model_version": VERSION}
    if asked.id:
        about["id"] = asked.id
    body, length = tensors.render(
        about, [(name, values[name], binary) for name, binary in wanted.items()]
    )
    if length is None:
        return Response(body, media_type="application/json")
    headers = {tensors.HEADER: str(length)}
    return Response(body, media_type="application/octet-stream", headers=headers)


def _values(model: ServedModel, readings: Sequence[Reading]) -> dict[str, npt.NDArray[np.float32]]:
    rows = np.zeros((len(readings), len(model.predictor.classes)), np.float32)
    for number, reading in enumerate(readings):
        rows[number] = reading.probabilities
    values = {"probabilities": rows}
    if model.predictor.threshold is not None:
        scores = [reading.unknown_score for reading in readings]
        values["unknown"] = np.array(scores, np.float32)
    return values
