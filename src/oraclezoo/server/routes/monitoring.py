"""Routes for metrics and drift detection, and the observer that feeds them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from oraclezoo._version import __version__
from oraclezoo.errors import UsageError
from oraclezoo.imaging.prepare import BLANK
from oraclezoo.server import schemas
from oraclezoo.server.observer import Answer, Batch, Observer
from oraclezoo.server.rejection import invalid
from oraclezoo.server.service import Service
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.reading import Reading
from oraclezoo.watching import metrics as m
from oraclezoo.watching.collectors import Metrics
from oraclezoo.watching.drift import DriftMonitor, DriftOptions, DriftState, parse_shares, why_not
from oraclezoo.watching.signals import Observations

ANY, BASELINE = "any", "baseline"
"""Special values of the class shares option: ignore class shares, or use the baseline's."""


@dataclass(frozen=True, slots=True)
class Watching:
    """Drift detection settings for the served models.

    Attributes:
        rate: Maximum probability of a false alarm for each model.
        shares: ``baseline``, ``any``, or expected class shares such as ``big=0.2,sun=0.1``.
    """

    rate: float = 0.01
    shares: str = BASELINE

    def options(self, classes: tuple[str, ...]) -> DriftOptions:
        """Return the drift options of a model with these classes. Raises UsageError."""
        declared = self.shares not in (ANY, BASELINE)
        shares = parse_shares(self.shares, classes) if declared else None
        return DriftOptions(self.rate, self.shares != ANY, shares)


class Monitor(Observer):
    """Observer that records metrics and monitors the models for drift.

    Args:
        watching: Settings of drift detection; None disables it.
    """

    def __init__(self, watching: Watching | None = None) -> None:
        self.metrics = Metrics()
        self.drift: dict[str, DriftMonitor] = {}
        self.unwatched: dict[str, str] = {}
        self._watching = watching
        self._classes: dict[str, tuple[str, ...]] = {}

    def opened(self, model: str, predictor: Predictor) -> None:
        """Create the metrics of a model, so that even the first scrape contains them."""
        card, metrics = predictor.card, self.metrics
        assert card.onnx is not None
        metrics.set(m.MODEL, 1, model, card.onnx.sha256, card.onnx.precision, __version__)
        shown = tuple(predictor.classes[: m.MAX_CLASSES])
        rest = (m.OTHER,) * (len(predictor.classes) - len(shown))
        self._classes[model] = shown + rest
        for name in dict.fromkeys(self._classes[model]):
            metrics.count(m.PREDICTIONS, model, name, number=0)
        for metric in (m.UNKNOWN, m.INVERTED):
            metrics.count(metric, model, number=0)
        for reason in ("blank", "broken"):
            metrics.count(m.UNREADABLE, model, reason, number=0)
        metrics.count(m.REJECTED, m.QUEUE_FULL, number=0)
        self._watch(model, predictor)

    def _watch(self, model: str, predictor: Predictor) -> None:
        card = predictor.card
        # shares that do not fit are an error also for a model that cannot be watched
        options = self._watching.options(card.classes) if self._watching else None
        if options is None:
            self.unwatched[model] = "drift detection is off; start the server without --no-drift"
        elif reason := why_not(card, model):
            self.unwatched[model] = reason
        else:
            assert card.baseline is not None
            self.drift[model] = DriftMonitor(model, card.baseline, card.classes, options)

    def answered(self, answer: Answer) -> None:
        """Count a request."""
        metrics = self.metrics
        metrics.count(m.REQUESTS, answer.route, answer.method, str(answer.status))
        metrics.observe(m.REQUEST_SECONDS, answer.seconds, answer.route)
        if answer.reason:
            metrics.count(m.REJECTED, answer.reason)

    def ran(self, batch: Batch) -> None:
        """Count the predictions of a batch and pass them to drift detection."""
        metrics, model = self.metrics, batch.model
        for seconds in batch.waited:
            metrics.observe(m.QUEUE_SECONDS, seconds, model)
        for seconds in batch.prepared:
            metrics.observe(m.PREPARING_SECONDS, seconds, model)
        read = [reading for reading in batch.readings if reading.probabilities is not None]
        for reading in batch.readings:
            if reading.probabilities is None:
                kind = "blank" if reading.reason.startswith(BLANK) else "broken"
                metrics.count(m.UNREADABLE, model, kind)
        if not read:
            return
        metrics.observe(m.BATCH, len(read), model)
        metrics.observe(m.INFERENCE_SECONDS, batch.inference, model)
        observations = _observations(read)
        if model in self.drift:
            self.drift[model].observe(observations)
        names = self._classes[model]
        top = observations.probabilities.max(1).tolist()
        for label, confidence in zip(
            observations.probabilities.argmax(1).tolist(), top, strict=True
        ):
            metrics.count(m.PREDICTIONS, model, names[label])
            metrics.observe(m.CONFIDENCES, confidence, model)
        unknown = sum(bool(reading.unknown) for reading in read)
        inverted = sum(
            reading.prepared is not None and reading.prepared.inverted for reading in read
        )
        metrics.count(m.UNKNOWN, model, number=unknown)
        metrics.count(m.INVERTED, model, number=inverted)

    def scrape(self, service: Service, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type; see :meth:`Metrics.scrape`."""
        metrics = self.metrics
        metrics.set(m.READY, float(not service.draining))
        for model in service.models:
            metrics.set(m.QUEUE, model.batcher.accepted, model.name)
            metrics.set(m.QUEUE_LIMIT, model.batcher.queue, model.name)
            if model.name not in self.drift:
                metrics.set(m.DRIFT_IMAGES, -1, model.name)
                continue
            state = self.drift[model.name].state()
            metrics.set(m.DRIFT_IMAGES, state.images, model.name)
            metrics.set(m.DRIFT_THRESHOLD, math.log10(state.threshold), model.name)
            for signal in state.signals:
                evidence = math.log10(max(signal.evidence, 1.0))
                metrics.set(m.DRIFT_EVIDENCE, evidence, model.name, signal.name)
                alarm = float(signal.drifted_at is not None)
                metrics.set(m.DRIFT_ALARM, alarm, model.name, signal.name)
        return metrics.scrape(accept)

    def report(self, service: Service) -> dict[str, Any]:
        """Return the response body of ``GET /v1/drift``."""
        return {
            "models": [
                {
                    "name": model.name,
                    "unwatched": self.unwatched.get(model.name),
                    "state": asdict(self.drift[model.name].state())
                    if model.name in self.drift
                    else None,
                }
                for model in service.models
            ]
        }

    def reset(self, service: Service, model: str | None, *, adopt: bool) -> None:
        """Restart drift detection for a model, or for all models if ``model`` is None.

        See :meth:`DriftMonitor.reset`. Raises RejectedError.
        """
        names = list(self.drift) if model is None else [service.models.find(model).name]
        try:
            for name in names:
                if name not in self.drift:
                    raise UsageError(self.unwatched[name])
                self.drift[name].reset(adopt=adopt)
        except UsageError as error:
            raise invalid(str(error)) from error


@dataclass(frozen=True, slots=True)
class ModelDrift:
    """Drift state of a model; ``unwatched`` says why it is not monitored, and how to fix that."""

    name: str
    unwatched: str | None
    state: DriftState | None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Drift of all served models."""

    models: tuple[ModelDrift, ...]


_PARAMETERS = [
    {
        "name": "model",
        "in": "query",
        "schema": {"type": "string"},
        "description": "Name of a model; all by default.",
    },
    {
        "name": "adopt",
        "in": "query",
        "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
        "description": "Make the pictures since the last restart the new baseline.",
    },
]
TAGS: list[str | Enum] = ["Monitoring"]


def add_routes(app: FastAPI, service: Service, monitor: Monitor) -> None:
    """Add the routes to an application."""

    @app.get(
        "/metrics",
        tags=TAGS,
        summary="Metrics",
        response_class=PlainTextResponse,
        responses=schemas.errors(401),
    )
    async def metrics(request: Request) -> Response:
        """Return metrics in Prometheus format, or in OpenMetrics format if `Accept` asks for it."""
        body, content_type = monitor.scrape(service, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    @app.get(
        "/v1/drift",
        tags=TAGS,
        summary="Drift",
        response_model=DriftReport,
        responses=schemas.errors(401),
    )
    async def drift(_: Request) -> Response:
        """Return whether the images differ from the distribution that each model was trained on.

        A signal has drifted when its `evidence` reaches `threshold`. Without drift, the probability
        that any signal of a model ever reaches it is at most `rate`.
        """
        return JSONResponse(monitor.report(service))

    @app.post(
        "/v1/drift/reset",
        tags=TAGS,
        summary="Restart drift detection",
        response_model=DriftReport,
        responses=schemas.errors(401, 404, 422),
        openapi_extra={"parameters": _PARAMETERS},
    )
    async def reset(request: Request) -> Response:
        """Discard all observed images and their alarms.

        With `adopt`, the statistics of these images become the baseline until the server stops.
        """
        requested = request.query_params
        adopt = requested.get("adopt", "false")
        if adopt not in ("true", "false"):
            raise invalid("adopt must be true or false")
        monitor.reset(service, requested.get("model"), adopt=adopt == "true")
        return JSONResponse(monitor.report(service))


def _observations(readings: list[Reading]) -> Observations:
    grays, probabilities, scores = [], [], []
    for reading in readings:
        assert reading.prepared is not None
        assert reading.probabilities is not None
        grays.append(reading.prepared.gray)
        probabilities.append(reading.probabilities)
        scores.append(reading.unknown_score)
    unknown = None if None in scores else np.asarray(scores, np.float32)
    return Observations(np.stack(grays), np.stack(probabilities), unknown)
