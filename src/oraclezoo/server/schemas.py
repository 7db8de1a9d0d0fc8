"""Response schemas of the server's own routes, for its OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """A request that was not served."""

    error: str = Field(description="What is wrong, and what to do.")


class Status(BaseModel):
    """State of the server."""

    status: Literal["ok", "stopping"]


class ClassEntry(BaseModel):
    """A class of a model."""

    label: int
    name: str
    glyph: str = Field(description='Modern character, or "".')


class ModelEntry(BaseModel):
    """A served model."""

    name: str
    default: bool = Field(description="Whether requests without a model get this one.")
    classes: list[ClassEntry]
    image_size: int = Field(description="Height and width of the input in pixels.")
    jpeg_smoothing: float = Field(
        description="Standard deviation in pixels of the smoothing of small JPEG images."
    )
    precision: str
    onnx_sha256: str
    calibrated: bool = Field(description="Whether the probabilities are calibrated.")
    unknown_threshold: float | None = Field(
        description="Score from which an image shows no character of the model; null without a "
        "detector."
    )


class ModelList(BaseModel):
    """All served models."""

    models: list[ModelEntry]


class Candidate(BaseModel):
    """A class and its probability."""

    label: int
    name: str
    glyph: str
    probability: float


class Rectangle(BaseModel):
    """Bounding box of the character, in pixels of the upright image."""

    x: int
    y: int
    width: int
    height: int


class ImageEntry(Candidate):
    """An image that was read, with its most probable class and the runners-up."""

    file: str
    number: int | None = Field(None, description="Position in the image, with `several`.")
    unknown: bool | None = Field(
        description="Whether it is no character that the model knows; null without a detector."
    )
    unknown_score: float | None
    inverted: bool = Field(description="Whether the character was darker than its background.")
    box: Rectangle
    top: list[Candidate]


class Unreadable(BaseModel):
    """An image that could not be read."""

    file: str
    reason: str


class PredictModel(BaseModel):
    """The model that read the images."""

    name: str
    onnx_sha256: str
    calibrated: bool
    unknown_threshold: float | None


class PredictData(BaseModel):
    """The result for every image of the request."""

    model: PredictModel
    images: list[ImageEntry]
    unreadable: list[Unreadable]


class Predictions(BaseModel):
    """The document of ``oraclezoo predict --json``."""

    document: Literal["oraclezoo/predict/1"] = Field(alias="schema")
    data: PredictData


class Unread(Problem):
    """No image could be read: the same document with an error."""

    document: Literal["oraclezoo/predict/1"] | None = Field(None, alias="schema")
    data: PredictData | None = None


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI descriptions of a route's error responses."""
    described = {
        400: "The request is malformed.",
        401: "The server needs a bearer token.",
        404: "Unknown model.",
        408: "The request took too long to arrive or to be served.",
        413: "The body is too large, or has too many images.",
        415: "Unsupported content encoding.",
        422: "The request has wrong content.",
        503: "The server is stopping.",
        429: "The queue is full. Try again after the seconds in the header Retry-After.",
    }
    return {status: {"model": Problem, "description": described[status]} for status in statuses}
