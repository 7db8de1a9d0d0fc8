"""Metrics, alerts and drift signals of the server, from the tables in its own code."""

from __future__ import annotations

from measured import table

from oraclezoo.watching import metrics as metrics
from oraclezoo.watching import rules


def monitoring_metrics() -> str:
    """Return the table of metrics."""
    return metrics.as_markdown() + "\n"


def monitoring_alerts() -> str:
    """Return the table of alert rules."""
    return rules.as_markdown() + "\n"


def monitoring_signals() -> str:
    """Return the table of signals that drift detection watches."""
    return table(("signal", "meaning"), [(f"`{n}`", text) for n, text in metrics.SIGNALS.items()])
