"""Events in a server, for metrics and drift detection, which subclass :class:`Observer`."""

from __future__ import annotations

from dataclasses import dataclass

from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.reading import Reading


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished request.

    Attributes:
        route: The route's pattern, e.g. ``/v2/models/{model}/infer``; ``unmatched`` for others.
        method: HTTP method; ``OTHER`` if it is not a common one.
        status: HTTP status; 499 if the client left before there was one.
        seconds: From the request's headers to the last byte of the response.
        reason: Why the request was rejected; "" if it was not.
    """

    route: str
    method: str
    status: int
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of a model.

    Attributes:
        model: Name of the model.
        waited: Seconds in the queue, for each image.
        prepared: Seconds of decoding and preprocessing, for each image that was a picture.
        inference: Seconds of the run; 0 if no image could be read.
        readings: The results, for each image.
    """

    model: str
    waited: tuple[float, ...]
    prepared: tuple[float, ...]
    inference: float
    readings: tuple[Reading, ...]


class Observer:
    """Receives what happens in a server; this one ignores it.

    ``opened`` and ``answered`` run in the event loop and must return at once. ``ran`` runs in the
    thread that ran the model, in several threads at a time if there are several.
    """

    def opened(self, model: str, predictor: Predictor) -> None:
        """A model is ready to predict."""

    def answered(self, answer: Answer) -> None:
        """A request is finished."""

    def ran(self, batch: Batch) -> None:
        """A model has classified a batch."""
