"""The metrics of a running server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase

from oraclezoo.watching.metrics import METRICS, Metric


class Metrics:
    """The metrics of one server, in a separate registry.

    Example:
        >>> from oraclezoo.watching.collectors import Metrics
        >>> from oraclezoo.watching.metrics import QUEUE_FULL, REJECTED
        >>> metrics = Metrics()
        >>> metrics.count(REJECTED, QUEUE_FULL)
        >>> body, content_type = metrics.scrape()
        >>> 'oraclezoo_rejected_requests_total{reason="queue"} 1.0' in body.decode()
        True
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics = {metric.name: _built(metric, self.registry) for metric in METRICS}
        self._children: dict[tuple[str, ...], MetricWrapperBase] = {}
        ProcessCollector(registry=self.registry)

    def count(self, metric: Metric, *labels: str, number: int = 1) -> None:
        """Increase a counter."""
        child = self._child(metric, labels)
        assert isinstance(child, Counter)
        child.inc(number)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        child = self._child(metric, labels)
        assert isinstance(child, Histogram)
        child.observe(value)

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        child = self._child(metric, labels)
        assert isinstance(child, Gauge)
        child.set(value)

    def scrape(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics and their content type.

        Args:
            accept: The request's ``Accept`` header, which selects the Prometheus or OpenMetrics
                format.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _child(self, metric: Metric, labels: tuple[str, ...]) -> MetricWrapperBase:
        # the library's lookup of children is slower than counting
        key = (metric.name, *labels)
        child = self._children.get(key)
        if child is None:
            parent = self._metrics[metric.name]
            child = self._children[key] = parent.labels(*labels) if labels else parent
        return child


def _built(metric: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    """Create and register a metric."""
    if metric.kind == "histogram":
        return Histogram(
            metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets
        )
    kind = Counter if metric.kind == "counter" else Gauge
    return kind(metric.name, metric.help, metric.labels, registry=registry)
