"""Prometheus alert rules, generated from the table of metrics."""

from __future__ import annotations

import json
from dataclasses import dataclass

from oraclezoo.watching import metrics as m
from oraclezoo.watching.metrics import Metric


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert: a PromQL expression that must hold for some time, and the texts of the alert.

    ``held`` is a Prometheus duration. ``summary`` and ``action`` are Prometheus templates.
    """

    name: str
    expression: str
    held: str
    severity: str
    summary: str
    action: str


def rate(metric: Metric, window: str, by: str = "", where: str = "") -> str:
    """Return PromQL for the rate per second of a counter or of a histogram's observations."""
    name = metric.series[-1]
    return f"{_sum(by)} (rate({name}{_matched(where)}[{window}]))"


def quantile(share: float, metric: Metric, window: str, by: str = "", where: str = "") -> str:
    """Return PromQL for a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    bucket = metric.series[0]
    return (
        f"histogram_quantile({share:g}, "
        f"sum by ({labels}) (rate({bucket}{_matched(where)}[{window}])))"
    )


def rules() -> tuple[Rule, ...]:
    """Return all rules."""
    answers = rate(m.REQUESTS, "5m")
    failures = rate(m.REQUESTS, "5m", where='status=~"5.."')
    full = rate(m.REJECTED, "5m", where=f'reason="{m.QUEUE_FULL}"')
    read, unread = rate(m.PREDICTIONS, "15m", "model"), rate(m.UNREADABLE, "15m", "model")
    unknown = rate(m.UNKNOWN, "1h", "model")
    return (
        Rule(
            "OracleZooAbsent",
            f"absent({m.MODEL.series[0]})",
            "2m",
            "critical",
            "No oraclezoo server is being scraped.",
            "Start the server, or check the scrape configuration and the token.",
        ),
        Rule(
            "OracleZooErrors",
            f"{failures} / {answers} > 0.01",
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of requests fail with a server error.",
            "Read the server's log. While the server stops, 503 is the normal answer.",
        ),
        Rule(
            "OracleZooOverloaded",
            f"{full} / {answers} > 0.05",
            "5m",
            "warning",
            "{{ $value | humanizePercentage }} of requests are refused because the queue is full.",
            "Add a server or a core, or serve a smaller model.",
        ),
        Rule(
            "OracleZooSlow",
            f"{quantile(0.99, m.REQUEST_SECONDS, '5m', where=_PREDICTING)} > 0.5",
            "10m",
            "warning",
            "The 99th percentile of the response time is {{ $value | humanizeDuration }}.",
            "Compare the times in the queue, of preprocessing and of inference.",
        ),
        Rule(
            "OracleZooWaiting",
            f"{quantile(0.99, m.QUEUE_SECONDS, '5m', 'model')} > 0.25",
            "10m",
            "warning",
            "Images for {{ $labels.model }} wait up to {{ $value | humanizeDuration }}.",
            "Add a server or a core, or lower --queue so that clients are refused sooner.",
        ),
        Rule(
            "OracleZooUnreadable",
            f"{unread} / ({unread} + {read}) > 0.2",
            "15m",
            "warning",
            "{{ $value | humanizePercentage }} of pictures cannot be read.",
            "Ask a client for the reasons in its responses.",
        ),
        Rule(
            "OracleZooUnknown",
            f"{unknown} / {rate(m.PREDICTIONS, '1h', 'model')} > 0.5",
            "30m",
            "warning",
            "{{ $value | humanizePercentage }} of pictures show no character that "
            "{{ $labels.model }} knows.",
            "Check what clients send.",
        ),
        Rule(
            "OracleZooDrift",
            f"max by (model, signal) ({m.DRIFT_ALARM.series[0]}) == 1",
            "0m",
            "warning",
            "Drift in {{ $labels.signal }} of {{ $labels.model }}.",
            "Look at GET /v1/drift, evaluate the model on recent pictures, then reset.",
        ),
    )


def as_yaml() -> str:
    """Return a rule file for Prometheus."""
    lines = ["groups:", "  - name: oraclezoo", "    rules:"]
    for rule in rules():
        lines += [
            f"      - alert: {rule.name}",
            f"        expr: {quoted(rule.expression)}",
            f"        for: {rule.held}",
            "        labels:",
            f"          severity: {rule.severity}",
            "        annotations:",
            f"          summary: {quoted(rule.summary)}",
            f"          description: {quoted(rule.action)}",
        ]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """Return the table of rules for the documentation."""
    rows = [
        f"| `{rule.name}` | {rule.severity} | `{_in_table(rule.expression)}` | {rule.held} |"
        for rule in rules()
    ]
    return "\n".join(("| Alert | Severity | Condition | For |", "| --- | --- | --- | --- |", *rows))


def quoted(text: str) -> str:
    """Return a text as a double-quoted YAML string, which may be any JSON string."""
    return json.dumps(text, ensure_ascii=False)


_PREDICTING = 'route=~"/v1/predict|/v2/.*/infer"'


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"


def _in_table(text: str) -> str:
    """Return text for a table cell, with vertical bars escaped."""
    return text.replace("|", r"\|")


def _matched(where: str) -> str:
    return f"{{{where}}}" if where else ""
