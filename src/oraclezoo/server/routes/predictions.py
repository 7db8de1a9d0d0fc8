"""Routes of the server's own API: predictions and the list of models."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oraclezoo.server import schemas
from oraclezoo.server.body import parsed
from oraclezoo.server.gate import NOTE
from oraclezoo.server.models import ServedModel
from oraclezoo.server.pictures import Question, preprocessing_of, question, top_of
from oraclezoo.server.service import Service
from oraclezoo.serving.document import SCHEMA, image_entry, model_entry, unreadable_entry
from oraclezoo.serving.reading import Reading

TAGS: list[str | Enum] = ["Predictions"]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_NAMED = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "Name of the image in the response."},
        "data": {"type": "string", "format": "byte", "description": "The file in base64."},
    },
    "required": ["data"],
    "additionalProperties": False,
}
_TOP = {"type": "integer", "minimum": 1, "maximum": 999_999, "default": 3}
_POLARITY = {"type": "string", "enum": ["auto", "light-on-dark", "dark-on-light"]}
_BOX = {"type": "string", "pattern": "^[0-9]{1,6},[0-9]{1,6},[1-9][0-9]{0,5},[1-9][0-9]{0,5}$"}
_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"type": "string"}, "Name of the model; the first that is served by default."),
    "top": (_TOP, "Classes to list for each image."),
    "polarity": (_POLARITY, "Whether the characters are lighter or darker than the background."),
    "box": (_BOX, "Where the character is: left, top, width, height; found by default."),
    "several": (
        {"type": "string", "enum": ["columns", "rows"]},
        "Read every separate character of an image: columns from right to left, or rows.",
    ),
}
_FIELDS: dict[str, dict[str, Any]] = {
    name: {**schema, "description": text} for name, (schema, text) in _OPTIONS.items()
}
_REQUEST = {
    "required": True,
    "content": {
        "application/octet-stream": _BINARY,
        "image/*": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "images": {"type": "array", "items": _BINARY["schema"], "minItems": 1},
                    **_FIELDS,
                },
                "required": ["images"],
                "additionalProperties": False,
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "images": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"oneOf": [{"type": "string", "format": "byte"}, _NAMED]},
                    },
                    **_FIELDS,
                },
                "required": ["images"],
                "additionalProperties": False,
            }
        },
    },
}
_PARAMETERS = [
    {"name": name, "in": "query", "schema": schema, "description": text}
    for name, (schema, text) in _OPTIONS.items()
]


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to an application."""

    @app.post(
        "/v1/predict",
        tags=TAGS,
        summary="Classify images",
        response_model=None,
        responses={
            200: {"model": schemas.Predictions, "description": "At least one image was read."},
            **schemas.errors(400, 401, 404, 408, 413, 415, 429),
            422: {"model": schemas.Unread, "description": "No image could be read."},
        },
        openapi_extra={"requestBody": _REQUEST, "parameters": _PARAMETERS},
    )
    async def predict(request: Request) -> Response:
        """Classify the character in each image of a request.

        The body is an image file, a form with several files, or JSON with base64-encoded images.
        The image formats are those of `oraclezoo predict` and are detected from the content. If an
        image cannot be read, its reason is in `unreadable`; the other images are unaffected.
        """
        async with service.deadline(), service.bodies.read(request) as body:
            requested = await _question(request, body, service.settings.max_images)
            model = service.models.find(requested.options.get("model"))
            top = top_of(requested.options, len(model.predictor.classes))
            settings = preprocessing_of(requested.options, service.settings.max_pixels)
            note = request.scope[NOTE]
            note.model, note.images = model.name, len(requested.pictures)
            readings = await service.read(request, model, requested.pictures, settings)
        return _response(model, readings, top)

    @app.get(
        "/v1/models",
        tags=TAGS,
        summary="List models",
        responses=schemas.errors(401),
        response_model=schemas.ModelList,
    )
    async def models(_: Request) -> Response:
        """List the served models with their classes; the first is the default."""
        entries = [
            {**model.entry(), "default": model is service.models.default}
            for model in service.models
        ]
        return JSONResponse({"models": entries})


async def _question(request: Request, body: bytes, most: int) -> Question:
    content_type = request.headers.get("content-type", "")
    query = dict(request.query_params)
    is_file = not content_type.lower().startswith(("multipart/", "application/json"))
    return await parsed(0 if is_file else len(body), question, content_type, body, query, most)


def _response(model: ServedModel, readings: list[Reading], top: int) -> Response:
    """Return the document of ``predict --json``, with status 422 if no image could be read."""
    images, unreadable = [], []
    for reading in readings:
        if reading.probabilities is None:
            unreadable.append(unreadable_entry(reading))
        else:
            images.append(image_entry(model.predictor, reading, top))
    about = {"name": model.name, **model_entry(model.predictor)}
    data = {"model": about, "images": images, "unreadable": unreadable}
    document: dict[str, Any] = {"schema": SCHEMA, "data": data}
    if not images:
        document["error"] = f"no image could be read; {readings[0].name}: {readings[0].reason}"
    text = json.dumps(document, allow_nan=False)
    return Response(text, 200 if images else 422, media_type="application/json")
