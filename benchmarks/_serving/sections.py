"""Sections of the benchmark that send requests."""

from __future__ import annotations

import asyncio
import math
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _measured import Figures, load_average, quotient, spread
from scipy import stats

from _serving.load import Load, wrk
from _serving.servers import (
    FORM,
    Running,
    bentoml,
    litserve,
    observed,
    ours,
    resident_bytes,
    running,
)
from _serving.sockets import Account, at_rate, merged, until_closed
from oraclezoo.serving.predictor import Predictor

CONNECTIONS = (1, 16, 64)
LOAD_CORE, SERVER_CORE = 0, 1
OVERLOAD = 3.0
"""Rate of the overload, in multiples of the capacity."""
FULL = 64
"""Connections that keep our queue full: its limit is 64 images."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Setup:
    """What all sections share."""

    model: str
    onnx: Path
    picture: bytes
    rounds: int
    seconds: float
    say: Say


@dataclass(frozen=True)
class Rivals:
    """Python interpreters of the rivals' environments."""

    bentoml: Path | None
    litserve: Path | None


def throughput(setup: Setup, rivals: Rivals, *, pinned: bool) -> Figures:
    """Compare servers under wrk, in rounds that visit each server and number of connections.

    Pinned, wrk has one core and the servers another; otherwise all share both.
    """
    threads = 1 if pinned else None
    servers = [
        ours(setup.model, threads=threads),
        ours(setup.model, name="oraclezoo, form", body=FORM, threads=threads),
    ]
    for python, make in ((rivals.bentoml, bentoml), (rivals.litserve, litserve)):
        if python is not None:
            servers += [make(python, setup.onnx, batching=batching) for batching in (False, True)]
    loads: dict[tuple[str, int], list[Load]] = {}
    averages = []
    cores = (SERVER_CORE, LOAD_CORE) if pinned else (None, None)
    with ExitStack() as stack:
        started = []
        for server in servers:
            each = stack.enter_context(running(server, setup.picture, cores[0]))
            started.append(each)
            wrk(each, setup.picture, 16, 2, cores[1])  # warm-up
            each.pause()
        for number in range(setup.rounds):
            averages.append(load_average())
            for connections in CONNECTIONS:
                for each in started:
                    each.pause(resume=True)
                    load = wrk(each, setup.picture, connections, setup.seconds, cores[1])
                    each.pause()
                    loads.setdefault((each.server.name, connections), []).append(load)
                    setup.say(f"{each.server.name}, {connections} connections: {load}")
            setup.say(f"round {number + 1} of {setup.rounds}")
    rows = [
        {"server": name, "connections": connections, **_figures(each)}
        for (name, connections), each in loads.items()
    ]
    return {"pinned": pinned, "load_average": averages, "rows": rows, "ratios": _ratios(rows)}


def _figures(loads: Sequence[Load]) -> Figures:
    return {
        "per_s": spread([load.per_s for load in loads]),
        "p50_ms": spread([load.p50_ms for load in loads], 2),
        "p99_ms": spread([load.p99_ms for load in loads], 2),
        "failed": sum(load.failed for load in loads),
    }


def _ratios(rows: list[Figures]) -> list[Figures]:
    """Return our requests a second by those of each rival's better mode."""
    found = []
    for rival in ("BentoML", "LitServe"):
        for connections in CONNECTIONS:
            here = [row for row in rows if row["connections"] == connections]
            modes = [row for row in here if row["server"].startswith(rival)]
            if not modes:
                continue
            better = max(modes, key=lambda row: row["per_s"]["median"])
            for row in here:
                if row["server"].startswith("oraclezoo"):
                    found.append(
                        {
                            "server": row["server"],
                            "rival": better["server"],
                            "connections": connections,
                            "per_s": _quotient(row["per_s"], better["per_s"]),
                            "p99": _quotient(row["p99_ms"], better["p99_ms"]),
                        }
                    )
    return found


def _quotient(over: Figures, under: Figures) -> Figures | None:
    """Return the ratio of two rows; None if the lower one answered nothing in some round."""
    return quotient(over, under) if under["min"] > 0 else None


def one_client(setup: Setup) -> Figures:
    """Compare the median latency of one client with the time of the model alone, same core."""
    predictor = Predictor(setup.onnx.parent, threads=1)
    image = np.zeros(
        (1, predictor.card.input.image_size, predictor.card.input.image_size), np.uint8
    )
    served, alone = [], []
    with running(ours(setup.model), setup.picture, SERVER_CORE) as started:
        wrk(started, setup.picture, 1, 1, LOAD_CORE)
        for _ in range(setup.rounds):
            served.append(wrk(started, setup.picture, 1, setup.seconds, LOAD_CORE).p50_ms)
            times = []
            for _ in range(300):
                begin = time.perf_counter()
                predictor.probabilities(image)
                times.append(1000 * (time.perf_counter() - begin))
            alone.append(statistics.median(times))
    added = [one - other for one, other in zip(served, alone, strict=True)]
    return {
        "p50_ms": spread(served, 2),
        "model_p50_ms": spread(alone, 2),
        "added_ms": spread(added, 2),
    }


def overload(setup: Setup) -> Figures:
    """Send three times what the server can do; compare latency, memory and what comes after."""
    with running(ours(setup.model), setup.picture, SERVER_CORE) as started:
        capacity = wrk(started, setup.picture, 16, setup.seconds, LOAD_CORE).per_s
        full = wrk(started, setup.picture, FULL, setup.seconds, LOAD_CORE)
        before = _rate(started, setup, 0.5 * capacity, 5)
        memory = [resident_bytes(started.process)]
        over = list[Account]()
        for _ in range(4):
            over.append(_rate(started, setup, OVERLOAD * capacity, 5))
            memory.append(resident_bytes(started.process))
        after = _rate(started, setup, 0.5 * capacity, 5)
    accepted = [ms for account in over for ms in account.latencies_ms.get(200, [])]
    total = merged(over)
    return {
        "capacity_per_s": round(capacity, 1),
        "offered_per_s": round(OVERLOAD * capacity, 1),
        "statuses": dict(total),
        "left_out": sum(account.left_out for account in over),
        "accepted_per_s": round(len(accepted) / 20, 1),
        "accepted_p99_ms": _p99(accepted),
        "full_p99_ms": round(full.p99_ms, 2),
        "half_load_before": _summary(before),
        "half_load_after": _summary(after),
        "resident_mib": [round(each / 2**20, 1) for each in memory],
    }


def _rate(started: Running, setup: Setup, per_s: float, seconds: float) -> Account:
    return asyncio.run(at_rate(started, setup.picture, per_s, seconds))


def _summary(account: Account) -> Figures:
    good = account.latencies_ms.get(200, [])
    return {
        "statuses": dict(merged([account])),
        "p50_ms": round(statistics.median(good), 2) if good else None,
        "p99_ms": _p99(good),
    }


def _p99(values: Sequence[float]) -> float | None:
    return round(float(np.quantile(values, 0.99)), 2) if values else None


def terminations(setup: Setup, number: int) -> Figures:
    """Send SIGTERM under load, again and again; account for every request."""
    accounts, statuses, seconds = [], list[int](), []
    for turn in range(number):
        with running(ours(setup.model), setup.picture) as started:
            account, took = asyncio.run(_terminated(started, setup.picture, 0.1 + turn % 10 / 20))
            statuses.append(started.process.wait(60))
        accounts.append(account)
        seconds.append(took)
        if turn % 10 == 9:
            setup.say(f"{turn + 1} of {number} terminations")
    return {
        "terminations": number,
        "requests": dict(merged(accounts)),
        "exit_statuses": {str(each): statuses.count(each) for each in sorted(set(statuses))},
        "seconds_to_end": spread(seconds, 2) | {"turns": None},
    }


async def _terminated(started: Running, picture: bytes, delay: float) -> tuple[Account, float]:
    load = asyncio.create_task(until_closed(started, picture, 16))
    await asyncio.sleep(delay)
    begin = time.perf_counter()
    started.process.send_signal(signal.SIGTERM)
    account = await load
    await asyncio.to_thread(started.process.wait, 60)
    return account, time.perf_counter() - begin


def cost_of_metrics(setup: Setup, kinds: Sequence[str]) -> Figures:
    """Compare requests a second without and with metrics, in interleaved rounds."""
    loads: dict[str, list[float]] = {kind: [] for kind in kinds}
    with ExitStack() as stack:
        started = [
            stack.enter_context(running(observed(setup.model, kind), setup.picture, SERVER_CORE))
            for kind in kinds
        ]
        for each in started:
            wrk(each, setup.picture, 16, 2, LOAD_CORE)
        for turn in range(2 * setup.rounds):
            for each in started if turn % 2 else reversed(started):  # drifts of the machine cancel
                load = wrk(each, setup.picture, 16, setup.seconds, LOAD_CORE)
                loads[each.server.name].append(load.per_s)
    return {
        "rows": [{"observer": kind, "per_s": spread(each)} for kind, each in loads.items()],
        "cost": [{"observer": kind, **_cost(loads[kinds[0]], loads[kind])} for kind in kinds[1:]],
    }


def _cost(without: Sequence[float], with_it: Sequence[float]) -> Figures:
    """Return the loss of requests a second in percent, with its 95% interval over the rounds."""
    logs = np.log(np.array(with_it) / np.array(without))
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
    low, middle, high = (
        100 * (1 - math.exp(x)) for x in (logs.mean() + half, logs.mean(), logs.mean() - half)
    )
    return {"percent": round(middle, 1), "low": round(low, 1), "high": round(high, 1)}
