"""Table of the server's metrics, the source of the documentation, alert rules and dashboard.

The number of values of every label is bounded: routes are patterns, methods and reasons come from
fixed sets, and a model with many classes counts those beyond ``MAX_CLASSES`` under one label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

MAX_CLASSES = 200
"""Maximum number of classes per model with separate counts."""
QUEUE_FULL = "queue"
"""Rejection reason of requests that were refused because the queue is full."""
OTHER = "other"
"""Label for the classes beyond ``MAX_CLASSES``."""

_TIMES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHORT_TIMES = (0.0001, 0.00025, 0.0005, *_TIMES)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name without the suffixes of the exposition format, and its description.

    ``buckets`` are the upper bounds of a histogram's buckets, in the unit at the end of its name.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """Return the names of the time series in a scrape."""
        if self.kind == "counter":
            return (f"{self.name}_total",)
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


CONFIDENCE, CLASSES, UNKNOWN_SCORE = "confidence", "classes", "unknown"
"""Signals from a model's outputs; the other signals are features of its input."""

SIGNALS = {
    CONFIDENCE: "probability of the predicted class",
    CLASSES: "shares of the predicted classes",
    UNKNOWN_SCORE: "score of the detector of other characters, for models that have it",
    "ink": "mean gray level of the model's input",
    "contrast": "standard deviation of its gray levels",
    "sharpness": "mean step between neighboring pixels, by contrast",
    "grain": "noise between neighboring pixels, by contrast",
    "flatness": "fraction of pixels in areas of one gray level",
    "offset": "distance of the ink's center from the middle",
    "border": "mean gray level along the brightest side",
    "slant": "direction of strokes: 1 along the axes, -1 diagonal",
}
"""Descriptions of the drift detection signals, in display order."""

REQUESTS = Metric(
    "oraclezoo_requests", "counter", "Finished requests.", ("route", "method", "status")
)
REQUEST_SECONDS = Metric(
    "oraclezoo_request_seconds",
    "histogram",
    "Time from a request's headers to the last byte of its response.",
    ("route",),
    _TIMES,
)
REJECTED = Metric(
    "oraclezoo_rejected_requests",
    "counter",
    "Requests that were refused, by reason.",
    ("reason",),
)
QUEUE = Metric("oraclezoo_queue_images", "gauge", "Number of in-flight images.", ("model",))
QUEUE_LIMIT = Metric(
    "oraclezoo_queue_limit_images",
    "gauge",
    "Maximum number of in-flight images; further requests get status 429.",
    ("model",),
)
QUEUE_SECONDS = Metric(
    "oraclezoo_queue_wait_seconds",
    "histogram",
    "Time that an image waited for a free worker.",
    ("model",),
    _SHORT_TIMES,
)
PREPARING_SECONDS = Metric(
    "oraclezoo_preprocessing_seconds",
    "histogram",
    "Time to decode and preprocess a picture.",
    ("model",),
    _SHORT_TIMES,
)
INFERENCE_SECONDS = Metric(
    "oraclezoo_inference_seconds",
    "histogram",
    "Time to run the model on a batch.",
    ("model",),
    _SHORT_TIMES,
)
BATCH = Metric(
    "oraclezoo_batch_images", "histogram", "Number of images in a batch.", ("model",), _SIZES
)
PREDICTIONS = Metric("oraclezoo_predictions", "counter", "Predictions.", ("model", "class"))
CONFIDENCES = Metric(
    "oraclezoo_confidence",
    "histogram",
    "Probability of the predicted class.",
    ("model",),
    _SHARES,
)
UNKNOWN = Metric(
    "oraclezoo_unknown_predictions",
    "counter",
    "Predictions marked as not a character that the model knows.",
    ("model",),
)
INVERTED = Metric(
    "oraclezoo_inverted_pictures",
    "counter",
    "Pictures with a dark character on a light background.",
    ("model",),
)
UNREADABLE = Metric(
    "oraclezoo_unreadable_pictures",
    "counter",
    "Pictures that could not be read, by reason (blank or broken).",
    ("model", "reason"),
)
MODEL = Metric(
    "oraclezoo_model_info",
    "gauge",
    "Served models; always 1.",
    ("model", "onnx_sha256", "precision", "version"),
)
READY = Metric("oraclezoo_ready", "gauge", "1 while the server accepts requests, else 0.")
DRIFT_IMAGES = Metric(
    "oraclezoo_drift_images",
    "gauge",
    "Images that drift detection has seen since its start or reset; -1 if it is off.",
    ("model",),
)
DRIFT_EVIDENCE = Metric(
    "oraclezoo_drift_evidence_log10",
    "gauge",
    "Peak evidence of drift in a signal, as a power of 10.",
    ("model", "signal"),
)
DRIFT_THRESHOLD = Metric(
    "oraclezoo_drift_threshold_log10",
    "gauge",
    "Evidence at which a signal raises an alarm, as a power of 10.",
    ("model",),
)
DRIFT_ALARM = Metric(
    "oraclezoo_drift_alarm",
    "gauge",
    "1 from a signal's alarm until a reset, else 0.",
    ("model", "signal"),
)

METRICS = (
    *(REQUESTS, REQUEST_SECONDS, REJECTED, READY, MODEL),
    *(QUEUE, QUEUE_LIMIT, QUEUE_SECONDS, PREPARING_SECONDS, INFERENCE_SECONDS, BATCH),
    *(PREDICTIONS, CONFIDENCES, UNKNOWN, INVERTED, UNREADABLE),
    *(DRIFT_IMAGES, DRIFT_EVIDENCE, DRIFT_THRESHOLD, DRIFT_ALARM),
)
"""All metrics, in the order of the documentation."""

PROCESS = ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds")
"""Process metrics of prometheus-client (Linux only) that the dashboard shows."""


def series() -> Iterator[str]:
    """Return the names of all time series that rules and dashboards may use."""
    for metric in METRICS:
        yield from metric.series
    yield from PROCESS


def as_markdown() -> str:
    """Return the table of metrics for the documentation."""
    rows = [
        f"| `{metric.series[0].removesuffix('_bucket')}` | {metric.kind} "
        f"| {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |"
        for metric in METRICS
    ]
    return "\n".join(("| Metric | Type | Labels | Meaning |", "| --- | --- | --- | --- |", *rows))
