"""A Grafana dashboard, generated from the table of metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oraclezoo.watching import metrics as m
from oraclezoo.watching.metrics import Metric
from oraclezoo.watching.rules import quantile, rate

WINDOW = "$__rate_interval"
"""Grafana's variable for the window of a rate, at least four scrape intervals."""
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: its title, the unit of its values as named by Grafana, and queries by legend."""

    title: str
    unit: str
    queries: Mapping[str, str]
    kind: str = "timeseries"
    note: str = field(default="")


def panels() -> tuple[Panel, ...]:
    """Return all panels, in reading order."""
    predictions = rate(m.PREDICTIONS, WINDOW, "model")
    return (
        Panel("Requests", "reqps", {"{{status}}": rate(m.REQUESTS, WINDOW, "status")}),
        Panel("Response time", "s", _quantiles(m.REQUEST_SECONDS, "route")),
        Panel("Rejected requests", "reqps", {"{{reason}}": rate(m.REJECTED, WINDOW, "reason")}),
        Panel(
            "Images in the queue",
            "short",
            {"{{model}}": m.QUEUE.series[0], "limit of {{model}}": m.QUEUE_LIMIT.series[0]},
        ),
        Panel("Time in the queue", "s", _quantiles(m.QUEUE_SECONDS)),
        Panel(
            "Images per batch",
            "short",
            {"mean, {{model}}": _mean(m.BATCH), "p99, {{model}}": _quantile(0.99, m.BATCH)},
        ),
        Panel("Preprocessing of a picture", "s", _quantiles(m.PREPARING_SECONDS)),
        Panel("Inference of a batch", "s", _quantiles(m.INFERENCE_SECONDS)),
        Panel(
            "Predictions by class",
            "ops",
            {"{{model}}: {{class}}": rate(m.PREDICTIONS, WINDOW, "model, class")},
        ),
        Panel(
            "Confidence",
            "percentunit",
            {
                "median, {{model}}": _quantile(0.5, m.CONFIDENCES),
                "lowest tenth, {{model}}": _quantile(0.1, m.CONFIDENCES),
            },
        ),
        Panel(
            "Unknown, inverted and unreadable",
            "percentunit",
            {
                "unknown, {{model}}": f"{rate(m.UNKNOWN, WINDOW, 'model')} / {predictions}",
                "inverted, {{model}}": f"{rate(m.INVERTED, WINDOW, 'model')} / {predictions}",
                "{{reason}}, {{model}}": (
                    f"{rate(m.UNREADABLE, WINDOW, 'model, reason')} / on (model) group_left () "
                    f"({predictions} + {rate(m.UNREADABLE, WINDOW, 'model')})"
                ),
            },
        ),
        Panel(
            "Evidence of drift, as a power of 10",
            "short",
            {
                "{{signal}}, {{model}}": m.DRIFT_EVIDENCE.series[0],
                "alarm, {{model}}": m.DRIFT_THRESHOLD.series[0],
            },
            note="A signal that reaches the alarm line has drifted. See GET /v1/drift.",
        ),
        Panel(
            "Drift",
            "short",
            {"{{signal}}, {{model}}": f"{m.DRIFT_ALARM.series[0]} == 1"},
            "table",
            "Signals with an alarm since the last reset; empty without drift.",
        ),
        Panel(
            "Models",
            "short",
            {"": m.MODEL.series[0], "images seen by drift detection": m.DRIFT_IMAGES.series[0]},
            "table",
        ),
        Panel(
            "Process",
            "bytes",
            {
                "memory": m.PROCESS[0],
                "CPU, cores": f"rate({m.PROCESS[1]}[{WINDOW}])",
                "open files": m.PROCESS[2],
                "ready": m.READY.series[0],
            },
        ),
    )


def as_json() -> str:
    """Return the dashboard as JSON for import into Grafana."""
    document = {
        "title": "oraclezoo",
        "uid": "oraclezoo",
        "tags": ["oraclezoo"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                }
            ]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(panels())],
    }
    return json.dumps(document, indent=2) + "\n"


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, _COLUMNS)
    source = {"type": "prometheus", "uid": "${datasource}"}
    table = panel.kind == "table"
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.note,
        "datasource": source,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": source,
                "expr": expression,
                "legendFormat": legend or "__auto",
                "instant": table,
                "range": not table,
                "format": "table" if table else "time_series",
            }
            for place, (legend, expression) in enumerate(panel.queries.items())
        ],
    }


def _quantile(share: float, metric: Metric, by: str = "model") -> str:
    return quantile(share, metric, WINDOW, by)


def _quantiles(metric: Metric, by: str = "model") -> dict[str, str]:
    return {
        f"{name}, {{{{{by}}}}}": _quantile(share, metric, by)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }


def _mean(metric: Metric) -> str:
    _, total, number = metric.series
    return f"sum by (model) (rate({total}[{WINDOW}])) / sum by (model) (rate({number}[{WINDOW}]))"
