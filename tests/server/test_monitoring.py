"""Metrics and drift of a running server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families as parse

from helpers.commands import oraclezoo
from oraclezoo.card import CARD, Card
from oraclezoo.cli import cli
from oraclezoo.data.corrupt import corrupt
from oraclezoo.data.glyphs.draw import generate
from oraclezoo.server.app import create_app
from oraclezoo.server.models import open_models
from oraclezoo.server.routes.monitoring import Monitor, Watching
from oraclezoo.server.service import Service
from oraclezoo.server.settings import Settings
from oraclezoo.serving.names import locate
from oraclezoo.serving.predictor import Predictor
from oraclezoo.watching.dashboard import panels
from oraclezoo.watching.drift import baseline_of
from oraclezoo.watching.metrics import METRICS, PROCESS
from oraclezoo.watching.rules import rules
from oraclezoo.watching.signals import Observations

TOKEN = "a-token-of-sufficient-length"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Return generated characters: the first 200 are the baseline's."""
    return generate([40] * 10, 11)[0]


@pytest.fixture(scope="module")
def watched(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder with a baseline."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    shutil.copytree(locate("oraclenet_n"), folder)
    predictor = Predictor(folder)
    assert predictor.card.onnx is not None
    seen = Observations(images[:200], predictor.probabilities(images[:200]))
    baseline = baseline_of(seen, "glyphs", "validation", predictor.card.onnx.sha256)
    card = replace(Card.load(folder), baseline=baseline)
    (folder / CARD).write_text(json.dumps(card.to_json()), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def unwatched(watched: Path) -> Path:
    """Return a model folder without a baseline."""
    folder = watched.with_name("bare")
    shutil.copytree(watched, folder)
    card = replace(Card.load(folder), baseline=None)
    (folder / CARD).write_text(json.dumps(card.to_json()), encoding="utf-8")
    return folder


@contextmanager
def served(
    *folders: Path, watching: Watching | None = None, token: str | None = None
) -> Iterator[TestClient]:
    settings = Settings(token=token, access_log=False)
    monitor = Monitor(watching)
    models = open_models(list(map(str, folders)), Path, settings, monitor)
    service = Service(models, settings, monitor)
    with TestClient(create_app(service)) as client:
        yield client


def png(image: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def send(client: TestClient, images: np.ndarray) -> None:
    for start in range(0, len(images), 50):
        files = [
            ("images", (f"{i}.png", png(image)))
            for i, image in enumerate(images[start : start + 50])
        ]
        assert client.post("/v1/predict", files=files).status_code == 200


def settled(client: TestClient, pictures: int) -> dict[str, float]:
    """Return a scrape once so many pictures are counted, which happens after their response."""
    end = monotonic() + 120
    while True:
        values = scraped(client)
        counted = sum(
            value
            for name, value in values.items()
            if name.startswith(("oraclezoo_predictions_total", "oraclezoo_unreadable_pictures_tot"))
        )
        if counted == pictures:
            return values
        assert monotonic() < end, f"{counted} of {pictures} pictures were counted"


def scraped(client: TestClient) -> dict[str, float]:
    """Return the values of a scrape by series with labels."""
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    return {
        sample.name
        + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in parse(response.text)
        for sample in family.samples
    }


def test_a_scrape_has_every_series_of_rules_and_panels(watched: Path, images: np.ndarray) -> None:
    """After one picture of each kind."""
    with served(watched, watching=Watching()) as client:
        send(client, images[:3])
        client.post("/v1/predict", content=b"no picture")
        names = {name.split()[0] for name in settled(client, 4)}
    expressions = " ".join(
        [rule.expression for rule in rules()]
        + [query for panel in panels() for query in panel.queries.values()]
    )
    used = set(re.findall(r"\b(?:oraclezoo|process)_[a-z0-9_]+", expressions))
    assert used
    assert used <= names | set(PROCESS)
    assert {name for metric in METRICS for name in metric.series} <= names


def test_predictions_are_counted(watched: Path, images: np.ndarray) -> None:
    """By class, with confidence; inverted, blank and broken pictures apart."""
    dark = 255 - images[0]
    with served(watched, watching=None) as client:
        before = scraped(client)
        send(client, images[:7])
        shown = client.post("/v1/predict", content=png(np.pad(dark, 40, constant_values=255)))
        client.post("/v1/predict", content=png(np.zeros((40, 40), np.uint8)))
        client.post("/v1/predict", content=b"no picture")
        client.get("/nothing/of/this/name")
        values = settled(client, 10)
    assert shown.json()["data"]["images"][0]["inverted"]
    name = shown.json()["data"]["images"][0]["name"]
    assert before[f"oraclezoo_predictions_total class={name} model=mine"] == 0
    assert values[f"oraclezoo_predictions_total class={name} model=mine"] >= 1
    assert sum(v for k, v in values.items() if k.startswith("oraclezoo_predictions_total")) == 8
    assert values["oraclezoo_confidence_count model=mine"] == 8
    assert values["oraclezoo_inverted_pictures_total model=mine"] == 1
    assert values["oraclezoo_unreadable_pictures_total model=mine reason=blank"] == 1
    assert values["oraclezoo_unreadable_pictures_total model=mine reason=broken"] == 1
    assert values["oraclezoo_queue_images model=mine"] == 0
    route = "method=POST route=/v1/predict status="
    assert values[f"oraclezoo_requests_total {route}200"] == 2
    assert values[f"oraclezoo_requests_total {route}422"] == 2
    assert values["oraclezoo_requests_total method=GET route=unmatched status=404"] == 1
    assert values["oraclezoo_ready"] == 1
    assert values["oraclezoo_drift_images model=mine"] == -1


def test_drift_is_reported_and_can_be_reset(watched: Path, images: np.ndarray) -> None:
    """A clean stream is silent; a blurred one raises an alarm, also in the metrics."""
    with served(watched, watching=Watching(rate=1e-6)) as client:
        send(client, images[200:])
        settled(client, 200)
        (model,) = client.get("/v1/drift").json()["models"]
        assert model["unwatched"] is None
        assert model["state"]["images"] == 200
        assert not model["state"]["drifted"]
        send(client, corrupt(images[200:300], "blur", 3))
        settled(client, 300)
        (model,) = client.get("/v1/drift").json()["models"]
        assert model["state"]["drifted"]
        drifted = [s["name"] for s in model["state"]["signals"] if s["drifted_at"] is not None]
        values = scraped(client)
        for name in drifted:
            assert values[f"oraclezoo_drift_alarm model=mine signal={name}"] == 1
            evidence = values[f"oraclezoo_drift_evidence_log10 model=mine signal={name}"]
            assert evidence >= values["oraclezoo_drift_threshold_log10 model=mine"]
        (model,) = client.post("/v1/drift/reset").json()["models"]
        assert model["state"]["images"] == 0
        assert not model["state"]["drifted"]


def test_a_stream_is_adopted_when_it_is_long_enough(watched: Path, images: np.ndarray) -> None:
    """A refusal says how many images it takes; an unknown model is not found."""
    with served(watched, watching=Watching()) as client:
        send(client, images[:50])
        settled(client, 50)
        response = client.post("/v1/drift/reset", params={"adopt": True})
        assert response.status_code == 422
        assert "at least 100" in response.json()["error"]
        send(client, images[50:150])
        settled(client, 150)
        response = client.post("/v1/drift/reset", params={"adopt": True, "model": "mine"})
        assert response.json()["models"][0]["state"]["baseline"]["images"] == 150
        assert client.post("/v1/drift/reset", params={"model": "other"}).status_code == 404


def test_a_model_without_a_baseline_says_what_to_run(
    watched: Path, unwatched: Path, images: np.ndarray
) -> None:
    """It is served all the same, and others are watched."""
    with served(unwatched, watched, watching=Watching()) as client:
        send(client, images[:3])
        first, second = client.get("/v1/drift").json()["models"]
        assert "run oraclezoo calibrate bare" in first["unwatched"]
        assert first["state"] is None
        assert second["unwatched"] is None
        response = client.post("/v1/drift/reset", params={"model": "bare"})
        assert response.status_code == 422
        assert "calibrate" in response.json()["error"]
        assert client.post("/v1/drift/reset").status_code == 200


def test_drift_detection_can_be_off(watched: Path) -> None:
    """The route says how to turn it on."""
    with served(watched, watching=None) as client:
        (model,) = client.get("/v1/drift").json()["models"]
    assert "--no-drift" in model["unwatched"]


@pytest.mark.parametrize("path", ["/metrics", "/v1/drift"])
def test_monitoring_needs_the_token(path: str, watched: Path) -> None:
    """If the server has one."""
    with served(watched, watching=Watching(), token=TOKEN) as client:
        assert client.get(path).status_code == 401
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert client.get(path, headers=headers).status_code == 200


def test_openmetrics_is_served_to_those_who_accept_it(watched: Path) -> None:
    """As Prometheus does."""
    with served(watched) as client:
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        response = client.get("/metrics", headers=accept)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


@pytest.fixture
def run() -> Callable[..., tuple[int, str]]:
    def invoke(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, arguments)
        return done.exit_code, done.output

    return invoke


def test_wrong_shares_end_the_command(watched: Path, run: Callable[..., tuple[int, str]]) -> None:
    """Before the server starts; the message names the nearest class."""
    status, text = run("serve", str(watched), "--class-shares", "bigg=0.5", "--openapi")
    assert status == 2
    assert "no class is named 'bigg'; did you mean 'big'?" in text


def test_monitoring_writes_its_files(tmp_path: Path, run: Callable[..., tuple[int, str]]) -> None:
    """And prints their paths."""
    folder = tmp_path / "monitoring"
    status, text = run("monitoring", str(folder), "--target", "example.org:80", "--json")
    assert status == 0
    files = [Path(name) for name in json.loads(text)["data"]["files"]]
    assert sorted(files) == sorted(folder.iterdir())
    assert '"example.org:80"' in (folder / "prometheus.yml").read_text(encoding="utf-8")
    lines = run("monitoring", str(folder))[1].splitlines()
    assert lines[: len(files)] == [str(path) for path in files]


def test_options_of_drift_need_drift_detection(bands: Path) -> None:
    """An option without effect is an error, and so are class shares that do not fit the model."""
    for options, reason in (
        (("--no-drift", "--drift-rate", "0.1"), "--drift-rate has no effect with --no-drift"),
        (("--no-drift", "--class-shares", "any"), "--class-shares has no effect"),
        (("--class-shares", "nothing=0.5", "--openapi"), "nothing"),
    ):
        done = oraclezoo("serve", bands, *options)
        assert done.exit_code == 2
        assert reason in done.stderr
