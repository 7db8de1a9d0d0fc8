"""Server events; metrics and drift detection receive them by subclassing :class:`Observer`."""

from __future__ import annotations

from dataclasses import dataclass

from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.reading import Reading


@dataclass(frozen=True, slots=True)
class Answer:
    """A completed request.

    Attributes:
        route: The route's pattern, e.g. ``/v2/models/{model}/infer``; ``unmatched`` for others.
        method: HTTP method; ``OTHER`` if it is not a common one.
        status: HTTP status; 499 if the client disconnected before the response.
        seconds: Time from the request's headers to the last byte of the response.
        reason: Why the request was rejected; "" if it was served.
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
        waited: Seconds that each image spent in the queue.
        prepared: Seconds of decoding and preprocessing for each image that was sent as a file.
        inference: Seconds of the model's run; 0 if no image could be read.
        readings: The result for each image.
    """

    model: str
    waited: tuple[float, ...]
    prepared: tuple[float, ...]
    inference: float
    readings: tuple[Reading, ...]


class Observer:
    """Receiver of server events; this base class ignores them.

    ``opened`` and ``answered`` run in the event loop and must return quickly. ``ran`` runs in the
    worker threads, possibly in several of them concurrently.
    """

    def opened(self, model: str, predictor: Predictor) -> None:
        """Receive a model that is ready to predict."""

    def answered(self, answer: Answer) -> None:
        """Receive a completed request."""

    def ran(self, batch: Batch) -> None:
        """Receive a batch that a model has classified."""
