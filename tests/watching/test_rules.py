"""Alert rules and dashboard: valid for Prometheus, each alert tested, every metric real."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from oraclezoo.watching import metrics as m
from oraclezoo.watching.collectors import Metrics
from oraclezoo.watching.dashboard import as_json, panels
from oraclezoo.watching.files import DASHBOARD, RULES, SCRAPE, write
from oraclezoo.watching.metrics import METRICS, PROCESS, Metric, series
from oraclezoo.watching.rules import as_markdown, as_yaml, rules

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool (Prometheus) is missing")
RULES_BY_NAME = {rule.name: rule for rule in rules()}

Series = Mapping[str, str]
"""Values of input series in promtool's notation, by series."""


@dataclass(frozen=True)
class Case:
    """Input at which an alert fires with these labels, and similar input at which it is silent."""

    firing: Series
    silent: Series
    labels: Mapping[str, str]


def steady(per_minute: float) -> str:
    """Return a counter that grows evenly for two hours."""
    return f"0+{per_minute:g}x120"


def requests(**per_minute: float) -> Series:
    return {
        f'{m.REQUESTS.series[0]}{{route="/v1/predict",method="POST",status="{status[1:]}"}}': (
            steady(number)
        )
        for status, number in per_minute.items()
    }


def refused(per_minute: float) -> Series:
    return {f'{m.REJECTED.series[0]}{{reason="{m.QUEUE_FULL}"}}': steady(per_minute)}


def histogram(metric: Metric, value: float, labels: Mapping[str, str]) -> Series:
    """Return 60 observations of a value a minute, with bounds as a real scrape writes them."""
    metrics = Metrics()
    metrics.observe(metric, value, *labels.values())
    body = metrics.scrape()[0].decode()
    buckets = re.findall(rf"^({metric.name}_bucket{{.*}}) (.*)$", body, re.MULTILINE)
    assert len(buckets) == len(metric.buckets) + 1
    return {name: steady(60 * float(count)) for name, count in buckets}


def pictures(read: float, blank: float = 0, unknown: float = 0) -> Series:
    return {
        f'{m.PREDICTIONS.series[0]}{{model="s",class="sun"}}': steady(read / 2),
        f'{m.PREDICTIONS.series[0]}{{model="s",class="moon"}}': steady(read / 2),
        f'{m.UNREADABLE.series[0]}{{model="s",reason="blank"}}': steady(blank),
        f'{m.UNKNOWN.series[0]}{{model="s"}}': steady(unknown),
    }


PREDICT = {"route": "/v1/predict"}
MODEL = {"model": "s"}
INFO = f'{m.MODEL.name}{{model="s",onnx_sha256="00",precision="int8",version="1"}}'
ALARM = f'{m.DRIFT_ALARM.name}{{model="s",signal="grain"}}'
CASES = {
    "OracleZooAbsent": Case({"up": "0x120"}, {INFO: "1x120"}, {}),
    "OracleZooErrors": Case(requests(_200=95, _500=5), requests(_200=995, _422=50, _500=5), {}),
    "OracleZooOverloaded": Case(
        {**requests(_200=90, _429=10), **refused(10)},
        {**requests(_200=97, _429=3), **refused(3)},
        {},
    ),
    "OracleZooSlow": Case(
        histogram(m.REQUEST_SECONDS, 0.8, PREDICT), histogram(m.REQUEST_SECONDS, 0.02, PREDICT), {}
    ),
    "OracleZooWaiting": Case(
        histogram(m.QUEUE_SECONDS, 0.4, MODEL), histogram(m.QUEUE_SECONDS, 0.002, MODEL), MODEL
    ),
    "OracleZooUnreadable": Case(pictures(70, blank=30), pictures(90, blank=10), MODEL),
    "OracleZooUnknown": Case(pictures(60, unknown=40), pictures(60, unknown=10), MODEL),
    "OracleZooDrift": Case({ALARM: "0x10 1x110"}, {ALARM: "0x120"}, {**MODEL, "signal": "grain"}),
}


def promtool(*arguments: str | Path) -> str:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_rule_has_a_firing_and_a_silent_case() -> None:
    """A new rule comes with both."""
    assert CASES.keys() == RULES_BY_NAME.keys()
    assert len(RULES_BY_NAME) == len(rules())


@needs_promtool
def test_rules_fire_and_stay_silent(tmp_path: Path) -> None:
    """All cases, in one run of promtool; JSON is YAML."""
    (tmp_path / RULES).write_text(as_yaml(), encoding="utf-8")
    tests = []
    for name, case in CASES.items():
        rule = RULES_BY_NAME[name]
        labels = {**case.labels, "severity": rule.severity, "alertstate": "firing"}
        alert = ",".join(f'{k}="{v}"' for k, v in {"alertname": name, **labels}.items())
        fired = [{"labels": f"ALERTS{{{alert}}}", "value": 1}]
        for values, expected in ((case.firing, fired), (case.silent, [])):
            expression = {
                "expr": f'ALERTS{{alertname="{name}"}}',
                "eval_time": "100m",
                "exp_samples": expected,
            }
            tests.append(
                {
                    "name": f"{name} {'fires' if expected else 'is silent'}",
                    "interval": "1m",
                    "input_series": [{"series": s, "values": v} for s, v in values.items()],
                    "promql_expr_test": [expression],
                }
            )
    document = {"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(json.dumps(document), encoding="utf-8")
    promtool("test", "rules", tmp_path / "tests.yml")


@needs_promtool
def test_written_files_are_valid(tmp_path: Path) -> None:
    """Prometheus accepts the configuration with its rules."""
    paths = write(tmp_path / "monitoring", "127.0.0.1:8000")
    assert [path.name for path in paths] == [RULES, DASHBOARD, SCRAPE]
    assert f"{len(rules())} rules found" in promtool("check", "config", paths[2])


def named(expression: str) -> set[str]:
    """Return the time series that an expression reads."""
    without_labels = re.sub(
        r"\{.*?\}|\b(?:by|on|group_left) \(.*?\)|\[.*?\]|\".*?\"", "", expression
    )
    return set(re.findall(r"\b[a-z][a-z0-9]*_[a-z0-9_]+\b", without_labels)) - {
        "histogram_quantile",
    }


EXPRESSIONS = [
    *((rule.name, rule.expression) for rule in rules()),
    *((panel.title, query) for panel in panels() for query in panel.queries.values()),
]


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_expressions_name_series_of_the_table(name: str, expression: str) -> None:
    """A renamed metric does not silence an alert or empty a panel."""
    assert named(expression), name
    assert named(expression) <= set(series())


def test_every_metric_is_shown_or_alerted_on() -> None:
    """No metric is recorded for nobody."""
    used = {name for _, expression in EXPRESSIONS for name in named(expression)}
    for metric in METRICS:
        assert used & set(metric.series), metric.name
    assert used >= set(PROCESS)


def test_the_dashboard_fits_grafanas_schema() -> None:
    """Unique ids, no overlap, one data source variable."""
    document = json.loads(as_json())
    positions = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in document["panels"]]
    assert len(set(positions)) == len(positions) == len(panels())
    assert [p["id"] for p in document["panels"]] == list(range(1, len(positions) + 1))
    for panel in document["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert [t["refId"] for t in panel["targets"]] == sorted(
            {t["refId"] for t in panel["targets"]}
        )


@needs_promtool
def test_dashboard_queries_are_valid(tmp_path: Path) -> None:
    """As recording rules, which promtool parses."""
    queries = [query for panel in panels() for query in panel.queries.values()]
    rows = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rows}]}), encoding="utf-8")
    promtool("check", "rules", path)


def test_the_table_of_the_documentation_has_every_alert() -> None:
    """With its condition."""
    for rule in rules():
        condition = rule.expression.replace("|", r"\|")
        assert f"| `{rule.name}` | {rule.severity} | `{condition}` |" in as_markdown()
