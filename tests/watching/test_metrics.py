"""The table of metrics and what a scrape contains."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from oraclezoo.watching import metrics as m
from oraclezoo.watching.collectors import Metrics
from oraclezoo.watching.metrics import METRICS, PROCESS, Metric, as_markdown, series


def filled() -> Metrics:
    """Return metrics with a value in every series."""
    metrics = Metrics()
    for metric in METRICS:
        labels = tuple(f"{label} of it" for label in metric.labels)
        if metric.kind == "counter":
            metrics.count(metric, *labels, number=3)
        elif metric.kind == "histogram":
            metrics.observe(metric, metric.buckets[0], *labels)
        else:
            metrics.set(metric, 2.5, *labels)
    return metrics


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_follows_the_conventions(metric: Metric) -> None:
    """Prefix, unit at the end of the name, a sentence of help, ascending buckets."""
    assert re.fullmatch("oraclezoo_[a-z0-9_]+", metric.name)
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket"))
    assert metric.help.endswith(".")
    assert metric.buckets == tuple(sorted(set(metric.buckets)))
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert len(set(metric.labels)) == len(metric.labels)


def test_names_are_unique() -> None:
    """Two metrics never write one series."""
    assert len(set(series())) == len(list(series()))


def test_a_scrape_contains_every_series() -> None:
    """In Prometheus's format and in OpenMetrics, with parsable bounds of buckets."""
    metrics = filled()
    body, content_type = metrics.scrape()
    assert content_type.startswith("text/plain")
    samples = [sample for family in parse(body.decode()) for sample in family.samples]
    assert {sample.name for sample in samples} >= {s for m in METRICS for s in m.series}
    bounds = {s.labels["le"] for s in samples if s.name == f"{m.BATCH.name}_bucket"}
    assert {float(bound) for bound in bounds} == {*m.BATCH.buckets, float("inf")}

    body, content_type = metrics.scrape("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = parse_open(body.decode())  # type: ignore[no-untyped-call]  # has no annotations
    assert {family.name for family in families} >= {m.name for m in METRICS}


def test_process_series_exist_where_the_system_has_them() -> None:
    """On Linux."""
    pytest.importorskip("resource")
    body, _ = Metrics().scrape()
    names = {sample.name for family in parse(body.decode()) for sample in family.samples}
    if not any(name.startswith("process_") for name in names):
        pytest.skip("this system has no /proc")
    assert names >= set(PROCESS)


def test_servers_of_one_process_do_not_share_metrics() -> None:
    """Each has a registry."""
    one, other = Metrics(), Metrics()
    one.count(m.REJECTED, m.QUEUE_FULL)
    assert b'reason="queue"' in one.scrape()[0]
    assert b'reason="queue"' not in other.scrape()[0]


def test_threads_lose_no_count() -> None:
    """Also when they count a label for the first time."""
    metrics = Metrics()

    def work(number: int) -> None:
        for step in range(200):
            metrics.count(m.PREDICTIONS, "s", str((step + number) % 5))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    body = metrics.scrape()[0].decode()
    counts = re.findall(r"oraclezoo_predictions_total\{.*\} (\d+)", body)
    assert sum(map(int, counts)) == 800


def test_a_wrong_number_of_labels_is_refused() -> None:
    """The library raises."""
    with pytest.raises(ValueError, match="label"):
        Metrics().count(m.PREDICTIONS, "s")


def test_the_table_of_the_documentation_has_every_metric() -> None:
    """With its labels and help."""
    table = as_markdown()
    for metric in METRICS:
        assert metric.help in table
        assert f"`{metric.name}" in table
