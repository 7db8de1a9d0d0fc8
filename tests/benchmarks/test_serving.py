"""Parts of the benchmark of the server."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.bands import write_model
from helpers.server import serving as served
from oraclezoo.data.glyphs.draw import generate
from oraclezoo.serving.names import locate
from oraclezoo.serving.predictor import Predictor

Script = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def drift(script: Script) -> ModuleType:
    """Return the sections on drift."""
    return script("_serving.drift")


@pytest.fixture(scope="module")
def servers(script: Script) -> ModuleType:
    """Return the module that runs servers."""
    return script("_serving.servers")


@pytest.fixture(scope="module")
def benchmark(script: Script) -> ModuleType:
    """Return the script."""
    return script("serving")


@pytest.fixture(scope="module")
def pool(drift: ModuleType) -> Any:
    """Return predictions for generated characters in place of the real ones."""
    predictor = Predictor(locate("oraclenet_n"))
    images, _ = generate([30] * 10, 3)
    return drift.Pool(
        drift.predictions(predictor, images[:100]),
        drift.predictions(predictor, images[100:]),
        predictor,
    )


def test_clean_streams_and_corrupted_ones(pool: Any, drift: ModuleType) -> None:
    """Few alarms on the former, and all of the latter flagged."""
    clean = drift.false_alarms(pool, 0.01, streams=5, length=200)
    assert (clean["streams"], clean["alarms"]) == (5, 0)
    assert clean["upper_95"] == pytest.approx(1 - 0.05 ** (1 / 5), abs=1e-4)
    rows = drift.detection(pool, 0.01)
    assert [row["flagged"] for row in rows] == [drift.ORDERS] * len(rows)
    assert all(row["max_images"] <= drift.LIMIT for row in rows)


def test_every_request_is_accounted_for(
    tmp_path: Path, script: Script, servers: ModuleType, benchmark: ModuleType
) -> None:
    """At a fixed rate, and in a loop until the server stops."""
    model, sockets = write_model(tmp_path / "bands"), script("_serving.sockets")
    with served(tmp_path / "log", model, "--no-access-log") as process:
        server = servers.ours("bands")
        started: Any = SimpleNamespace(server=server, port=process.port)
        account = asyncio.run(sockets.at_rate(started, benchmark.picture(), 50, 0.4))
        assert account.counts == {"200": 20, "lost": 0, "refused": 0}

        async def stopped() -> Any:
            load = asyncio.create_task(sockets.until_closed(started, benchmark.picture(), 3))
            await asyncio.sleep(0.05)
            process.process.terminate()
            return await load

        account = asyncio.run(stopped())
        assert account.counts["200"] > 0
        assert account.lost == 0
        assert process.process.wait(120) == 0


def test_the_cost_of_metrics_has_an_interval(script: Script) -> None:
    """A tenth fewer requests in every round, with little spread."""
    cost = script("_serving.sections")._cost([100, 200, 300], [90, 181, 269])
    assert cost["low"] < cost["percent"] < cost["high"]
    assert cost["percent"] == pytest.approx(10, abs=0.5)


def test_claims_compare_with_their_bounds(benchmark: ModuleType) -> None:
    """A section that was not measured claims nothing."""
    assert list(benchmark.claims({})) == []
    data = {"client": {"added_ms": {"median": 1.6}}, "sigterm": {"requests": {"lost": 0}}}
    client, sigterm = benchmark.claims(data)
    assert (client["value"], client["bound"], client["holds"]) == (1.6, 1.5, False)
    assert sigterm["holds"]


def test_a_server_that_ends_shows_its_output(servers: ModuleType) -> None:
    """The benchmark does not wait for it."""
    broken = servers.Server(
        "broken", lambda _: ["sh", "-c", "echo no such model; exit 1"], "/", servers.RAW
    )
    with (
        pytest.raises(RuntimeError, match="broken does not answer:\nno such model"),
        servers.running(broken, b""),
    ):
        pass


def test_a_family_has_all_descendants(servers: ModuleType) -> None:
    """Also those of a shell."""
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as process:
        try:
            family: list[int] = []
            while len(family) < 2:
                family = servers._family(process.pid)
            assert family[0] == process.pid
        finally:
            for pid in family:
                subprocess.run(["kill", str(pid)], check=False)


def test_forms_have_the_picture(servers: ModuleType, benchmark: ModuleType) -> None:
    """Between the boundaries."""
    assert b"\r\n\r\nPNG\r\n--" in servers.form(b"PNG")
    assert np.frombuffer(benchmark.picture(), np.uint8)[1:4].tobytes() == b"PNG"
